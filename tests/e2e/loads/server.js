// What server.py does, as people write it for node: timers and sockets in the loop, work in threads of their own.
const { Worker, isMainThread, parentPort } = require('worker_threads');
const { createHash } = require('crypto');
const net = require('net');

const sum = (data) => createHash('sha256').update(data).digest('hex');

if (!isMainThread) {
	const data = Buffer.alloc(65536, 'davit');
	const right = sum(data);
	const again = () => {
		parentPort.postMessage(sum(Buffer.from(data)) === right);
		setTimeout(again, 1);
	};
	again();
} else {
	let ticks = 0, work = 0, bad = 0;
	for (let i = 0; i < 2; i++)
		new Worker(__filename).on('message', (right) => { work++; if (!right) bad++; });
	let last = process.hrtime.bigint();
	setInterval(() => {
		const now = process.hrtime.bigint();
		if (now < last) bad++;
		last = now;
		ticks++;
	}, 10);
	net.createServer((socket) => {
		let rest = '', count = 0;
		socket.on('data', (data) => {
			const lines = (rest + data).split('\n');
			rest = lines.pop();
			for (const line of lines)
				socket.write(line === 'state' ? `${ticks} ${work} ${bad}\n` : `${++count} ${line * 31 + 7}\n`);
		});
		socket.on('error', () => {});
	}).listen(7000, '0.0.0.0');
}
