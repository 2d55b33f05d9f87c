"""Starts the server for a network: `make host`, or `python -m app.hosting [Streamlit's options] [-- --backend BACKEND]`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = {
    "server.address": "0.0.0.0",
    "server.headless": "true",
    "server.enableXsrfProtection": "true",
    "server.enableCORS": "true",
    "server.enableStaticServing": "false",
    "server.maxUploadSize": "60",  # MB, as the page of the Penn Treebank offers; its archive has 35
    "server.maxMessageSize": "10",  # MB; the longest text that may be pasted, a million characters, has up to 4
    "server.maxWidgetStateSize": "10",
    "server.enableWebsocketCompression": "false",  # it would cost a small server more than the network gains
    "server.websocketPingInterval": "30",  # proxies end what is silent for a minute
    "server.disconnectedSessionTTL": "120",  # seconds for a lost Wi-Fi; sessions hold uploaded files
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "client.toolbarMode": "minimal",
    "browser.gatherUsageStats": "false",
    "logger.hideWelcomeMessage": "true",  # it is no JSON
    "logger.level": "info",
}


def hosted() -> bool:
    """Whether this process serves a network, rather than the person who started it."""
    return os.environ.get("UNROLLED_HOSTED") == "1"


def main() -> None:
    """Become the server; options given here come after ours, and so win."""
    ours = [f"--{name}={value}" for name, value in OPTIONS.items()]
    port = [f"--server.port={os.environ['PORT']}"] if os.environ.get("PORT") else []
    os.environ["UNROLLED_HOSTED"] = "1"
    # glibc has an arena of memory for each thread, and what many people leave in 16 of them stays there, in pieces.
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    # One fewer than there are cores: on a machine of two, a step then has one thread, which waits for no other.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, (os.cpu_count() or 1) - 1)))
    os.chdir(ROOT)  # .streamlit/config.toml is found from here
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", "app/main.py", *ours, *port, *sys.argv[1:]])


if __name__ == "__main__":
    main()
