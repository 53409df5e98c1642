"""Runs the application verify_actor of fediverse-pasture on a free port of localhost and lets it look at an actor.

    venv/bin/python verify_actor.py ACTOR_URL

Prints one JSON object: what each of its actors could do, and what it noted meanwhile. Its own command line would listen on
every address, so the application is run here. It keeps its keys in the current folder.
"""

import asyncio
import json
import logging
import socket
import sys

import aiohttp
import uvicorn
from fediverse_pasture.verify_actor import build_app


async def main(actor: str) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    domain = f"localhost:{listening.getsockname()[1]}"
    app = build_app(False, domain, False, 20)
    logging.disable(logging.CRITICAL)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    async with aiohttp.ClientSession() as session:
        asked = session.post(
            f"http://{domain}/",
            data={"actor_uri": actor},
            headers={"accept": "application/json"},
        )
        async with asked as response:
            found = await response.json()
    print(json.dumps({"result": found["result"], "messages": json.loads(found["messages"])}))
    server.should_exit = True
    await serving


asyncio.run(main(sys.argv[1]))
