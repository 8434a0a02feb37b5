// A relay in memory on `ws`: each message is encoded once and sent to every subscriber of its subject.
import { WebSocketServer } from "ws";

const [port, host] = process.argv.slice(2);
const rooms = new Map();

new WebSocketServer({ port: Number(port), host, backlog: 4096, perMessageDeflate: false }).on("connection", (socket) => {
  const joined = new Set();
  socket.on("message", (text) => {
    const frame = JSON.parse(text);
    const { subject } = frame;
    if (frame.type === "subscribe") {
      if (!rooms.has(subject)) rooms.set(subject, new Set());
      rooms.get(subject).add(socket);
      joined.add(subject);
      socket.send(JSON.stringify({ type: "subscribed", subject }));
    } else if (frame.type === "publish") {
      const { data } = frame;
      const message = JSON.stringify({ type: "message", subject, data, timestamp: new Date().toISOString() });
      for (const each of rooms.get(subject) ?? []) each.send(message);
    }
  });
  socket.on("close", () => {
    for (const subject of joined) rooms.get(subject).delete(socket);
  });
});
