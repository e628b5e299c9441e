# A server of streams, with Debian's python3-websockets: echo.py CERTIFICATE KEY. It prints the port that it takes, and what
# comes of each stream as a line of JSON. What it hears it says a second later; it closes no stream by itself.
import asyncio
import base64
import json
import ssl
import sys

import websockets


async def stream(socket):
    told = {"path": socket.path, "authorization": socket.request_headers.get("Authorization"), "frames": 0, "loud": 0}
    heard = b""
    async for text in socket:
        message = json.loads(text)
        if message["eventType"] == "media":
            payload = base64.b64decode(message["payload"])
            told["frames"] += 1
            told["loud"] += any(byte & 0x7F < 0x60 for byte in payload)
            heard += payload
            if len(heard) == 8000:
                sound = {"contentType": "audio/pcmu", "payload": base64.b64encode(heard).decode()}
                await socket.send(json.dumps({"eventType": "playAudio", "media": sound}))
                heard = b""
        else:
            told[message["eventType"]] = message
    told["code"] = socket.close_code
    print(json.dumps(told), flush=True)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[1:3])
    async with websockets.serve(stream, "127.0.0.1", 0, ssl=context) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
