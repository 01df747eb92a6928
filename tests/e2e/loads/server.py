"""A server as people write them with asyncio, with threads that work beside it; loads.bats tells what it answers.

Each line "N" is answered by "COUNT 31*N+7", COUNT being this connection's lines so far; "state" by "TICKS WORK BAD": how often its timer fired, what its
threads have done, and what was wrong: a clock that went back, a timer that fired early, a sum that differs.
"""
import asyncio
import hashlib
import queue
import threading
import time

DATA = bytes(range(256)) * 256
SUM = hashlib.sha256(DATA).hexdigest()
ticks = work = bad = 0
jobs = queue.Queue(8)


def producer():
    while True:
        jobs.put(bytearray(DATA))


def worker():
    global work, bad
    while True:
        if hashlib.sha256(jobs.get()).hexdigest() != SUM:
            bad += 1
        work += 1
        time.sleep(0.001)


async def timer():
    global ticks, bad
    while True:
        asked, before = 0.01, time.monotonic()
        await asyncio.sleep(asked)
        passed = time.monotonic() - before
        if passed < asked - 0.001:
            bad += 1
        ticks += 1


async def serve(reader, writer):
    count = 0
    while line := await reader.readline():
        if line == b"state\n":
            writer.write(b"%d %d %d\n" % (ticks, work, bad))
        else:
            count += 1
            writer.write(b"%d %d\n" % (count, int(line) * 31 + 7))
        await writer.drain()
    writer.close()


async def main():
    for run in producer, worker, worker, worker:
        threading.Thread(target=run, daemon=True).start()
    for _ in range(20):
        asyncio.create_task(timer())
    async with await asyncio.start_server(serve, "0.0.0.0", 7000) as server:
        await server.serve_forever()


asyncio.run(main())
