// A relay in memory on socket.io: a room per subject.
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port, host] = process.argv.slice(2);
const http = createServer();

new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false }).on("connection", (socket) => {
  socket.on("subscribe", (subject) => {
    socket.join(subject);
    socket.emit("subscribed", subject);
  });
  socket.on("publish", (subject, data) => socket.nsp.to(subject).emit("message", subject, data));
});

http.listen({ port: Number(port), host, backlog: 4096 });
