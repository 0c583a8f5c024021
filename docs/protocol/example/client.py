#!/usr/bin/env python3
"""A small Voxhall client: joins by an invite link as a guest, shows what is written, and says what is typed.

    client.py 'voxhall://host:9000/CODE#PIN' Ann        Needs Python 3.9 and the package `websockets`.
"""
import asyncio, base64, hashlib, itertools, json, random, ssl, sys, threading, uuid
from urllib.parse import urlsplit

import websockets


class Refused(Exception):
    """The server said no: its words for people, and a kind for programs."""
    def __init__(self, error):
        super().__init__(error["message"])
        self.kind = error["data"]["kind"]


class Client:
    def __init__(self, link, name):
        self.link, self.name, self.ids = urlsplit(link), name, itertools.count(1)
        self.credentials = self.session = None
        self.seq, self.last, self.unsent, self.ended = 0, 0, [], False

    async def open(self):
        context = ssl.create_default_context()
        if self.link.fragment:  # With a pin that certificate and no other is accepted, whatever names are in it.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        socket = await websockets.connect(f"wss://{self.link.netloc}/ws", ssl=context, max_size=8 << 20)
        if self.link.fragment:
            der = socket.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            if base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=") != self.link.fragment:
                sys.exit("The server's certificate is not the one of the link. Ask for a new link before you go on.")
        return socket

    async def call(self, method, **params):
        number, answer = next(self.ids), asyncio.get_running_loop().create_future()
        self.waiting[number] = answer
        await self.socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        return await answer

    async def read(self):
        async for text in self.socket:
            message = json.loads(text)
            if "method" in message:
                self.event(message["method"], message["params"])
            elif "error" in message:
                self.waiting.pop(message["id"]).set_exception(Refused(message["error"]))
            else:
                self.waiting.pop(message["id"]).set_result(message["result"])
        raise ConnectionError("the server hung up")

    def event(self, method, params):
        self.seq = params["seq"]
        if method == "message.created" and params["message"]["channel_id"] == self.channel:
            self.show(params["message"])

    def show(self, message):
        if message["id"] > self.last:
            self.last = message["id"]
            print(f"{message['author']['name']}: {message['text']}", flush=True)

    async def sign_in(self):
        hello = await self.call("session.hello", protocol_min=1, protocol_max=1, client="client.py")
        if not self.credentials:
            code = self.link.path.strip("/")
            self.credentials = await self.call("account.guest", name=self.name, invite=code, device="client.py")
        else:  # A refresh token is spent by its use; the next one is in the answer.
            self.credentials = await self.call("account.refresh", refresh_token=self.credentials["refresh_token"])
        token = self.credentials["access_token"]
        try:  # What was missed while the connection was away follows as events.
            await self.call("session.resume", access_token=token, session=self.session or "", seq=self.seq)
        except Refused as refused:
            if refused.kind != "full_sync_needed":
                raise
            ready = await self.call("session.begin", access_token=token)
            self.session, self.seq = ready["session"], ready["seq"]
            self.channel = next(c["id"] for g in ready["guilds"] for c in g["channels"] if c["kind"] == "text")
            print(f"In {ready['guilds'][0]['name']} as {ready['me']['name']}.", flush=True)
            page = {"messages": self.last and [None]}  # What was written since then is in the history.
            while page["messages"]:
                page = await self.call("message.list", channel_id=self.channel, after=self.last)
                for message in page["messages"]:
                    self.show(message)
        return hello["heartbeat_ms"] / 1000

    async def talk(self):
        heartbeat_s = await self.sign_in()
        while True:
            while self.unsent:  # The nonce makes a message that was sent twice one message.
                await self.call("message.send", channel_id=self.channel, **self.unsent[0])
                self.unsent.pop(0)
            if self.ended:
                return
            self.more.clear()
            try:
                await asyncio.wait_for(self.more.wait(), heartbeat_s)
            except asyncio.TimeoutError:
                await self.call("session.ping")

    async def run(self):
        self.more = asyncio.Event()
        threading.Thread(target=self.type, args=[asyncio.get_running_loop()], daemon=True).start()
        for attempt in itertools.count():
            try:
                self.socket, self.waiting = await self.open(), {}
                tasks = [asyncio.create_task(self.read()), asyncio.create_task(self.talk())]
                done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in waiting:
                    task.cancel()
                return [task.result() for task in done]
            except (OSError, websockets.ConnectionClosed) as lost:
                print(f"No connection ({lost}), trying again.", file=sys.stderr)
                await asyncio.sleep(min(30, 2 ** attempt) * random.uniform(0.5, 1))

    def type(self, loop):
        for line in itertools.chain(sys.stdin, [None]):
            loop.call_soon_threadsafe(self.add, line)

    def add(self, line):
        if line is None:
            self.ended = True
        else:
            self.unsent.append({"text": line.rstrip("\n"), "nonce": uuid.uuid4().hex})
        self.more.set()


try:
    asyncio.run(Client(*sys.argv[1:3]).run())
except Refused as refused:
    sys.exit(str(refused))
