"""The server that most people write: FastAPI around sentence-transformers.

    uvicorn --app-dir benches/serving --port 8081 peer_fastapi:app

THREADS and MODEL are taken from the environment. FastAPI answers in its pool of threads; the
model is not made for several at once, so that they take turns.
"""

import os
import threading

import torch
from fastapi import FastAPI
from sentence_transformers import SentenceTransformer

torch.set_num_threads(int(os.environ["THREADS"]))
model = SentenceTransformer(os.environ["MODEL"], device="cpu")
turn = threading.Lock()
app = FastAPI()


@app.post("/v1/embeddings")
def embeddings(body: dict):
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    with turn:
        vectors = model.encode(texts)
    data = [
        {"object": "embedding", "index": i, "embedding": v.tolist()} for i, v in enumerate(vectors)
    ]
    return {"object": "list", "model": body["model"], "data": data}
