"""A gateway in the shape of the original service: FastAPI, websockets, one nats-py subscription a client."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import nats
import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from nats.aio.msg import Msg

PORT, NATS_PORT, BINARY = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


@contextlib.asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    server = await asyncio.create_subprocess_exec(BINARY, "-a", "127.0.0.1", "-p", str(NATS_PORT))
    for _ in range(200):
        with contextlib.suppress(OSError):
            (await asyncio.open_connection("127.0.0.1", NATS_PORT))[1].close()
            break
        await asyncio.sleep(0.02)
    app.state.bus = await nats.connect(f"nats://127.0.0.1:{NATS_PORT}")
    yield
    await app.state.bus.close()
    server.terminate()
    await server.wait()


app = FastAPI(lifespan=_life)


@app.post("/messages/{subject}")
async def publish(subject: str, request: Request) -> dict[str, str]:
    """Publish a JSON object; the bus has it when this returns."""
    await app.state.bus.publish(subject, json.dumps(await request.json()).encode())
    await app.state.bus.flush()
    return {"timestamp": datetime.now(UTC).isoformat()}


@app.websocket("/ws")
async def client(socket: WebSocket) -> None:
    """One client: its frames in, its messages out."""
    await socket.accept()

    async def forward(message: Msg) -> None:
        frame: dict[str, Any] = {
            "type": "message",
            "subject": message.subject,
            "data": json.loads(message.data),
            "timestamp": datetime.now(UTC).isoformat(),
        }
        await socket.send_text(json.dumps(frame))

    subscriptions = []
    try:
        while True:
            frame = json.loads(await socket.receive_text())
            if frame["type"] == "subscribe":
                subscriptions.append(await app.state.bus.subscribe(frame["subject"], cb=forward))
                await app.state.bus.flush()
                await socket.send_text(json.dumps({"type": "subscribed", "subject": frame["subject"]}))
            elif frame["type"] == "publish":
                await app.state.bus.publish(frame["subject"], json.dumps(frame["data"]).encode())
    except WebSocketDisconnect:
        for subscription in subscriptions:
            await subscription.unsubscribe()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning", backlog=4096)
