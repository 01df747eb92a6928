// What server.py does, as people write it in Java: a thread for each connection, a pool for timers, and work that makes garbage.
import java.io.*;
import java.net.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.LockSupport;

public class Server {
	static final AtomicLong ticks = new AtomicLong(), work = new AtomicLong(), bad = new AtomicLong();

	static void worker() {
		Map<Integer, byte[]> kept = new HashMap<>();
		for (int i = 0;; i++) {
			byte[] data = new byte[4096];
			Arrays.fill(data, (byte) (i % 1000));
			kept.put(i % 1000, data);
			byte[] old = kept.get((i * 7) % 1000);
			if (old != null && (old[0] != (byte) ((i * 7) % 1000) || old[4095] != old[0]))
				bad.incrementAndGet();
			work.incrementAndGet();
			if (i % 16 == 0)
				LockSupport.parkNanos(1_000_000);
		}
	}

	static void serve(Socket socket) {
		try (BufferedReader in = new BufferedReader(new InputStreamReader(socket.getInputStream()));
		     OutputStream out = socket.getOutputStream()) {
			long count = 0;
			for (String line; (line = in.readLine()) != null;) {
				String answer = line.equals("state") ? ticks + " " + work + " " + bad : ++count + " " + (Long.parseLong(line) * 31 + 7);
				out.write((answer + "\n").getBytes());
			}
		} catch (IOException gone) {
			return;
		}
	}

	public static void main(String[] args) throws IOException {
		for (int i = 0; i < 2; i++)
			new Thread(Server::worker).start();
		AtomicLong last = new AtomicLong(System.nanoTime());
		Executors.newScheduledThreadPool(2).scheduleAtFixedRate(() -> {
			long now = System.nanoTime();
			if (now < last.getAndSet(now))
				bad.incrementAndGet();
			ticks.incrementAndGet();
		}, 0, 10, TimeUnit.MILLISECONDS);
		try (ServerSocket server = new ServerSocket(7000, 50)) {
			for (;;) {
				Socket socket = server.accept();
				new Thread(() -> serve(socket)).start();
			}
		}
	}
}
