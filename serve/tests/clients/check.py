"""Published clients, unchanged, against a running service.

    offshoot serve minilm=minilm.offshoot &
    python check.py http://127.0.0.1:8080 minilm

Clients that are not installed are named and passed over. Each must give, for the same
texts, the embeddings that a plain request gives.
"""

import importlib.util
import json
import sys
import urllib.request

import numpy as np

BASE, MODEL = sys.argv[1].rstrip("/"), sys.argv[2]
TEXTS = ["the film moved me", "a moving film", "the invoice is due"]


def plain():
    body = json.dumps({"inputs": TEXTS}).encode()
    request = urllib.request.Request(
        BASE + "/embed", body, {"content-type": "application/json"}
    )
    return np.array(json.load(urllib.request.urlopen(request)), np.float32)


def openai():
    from openai import OpenAI

    client = OpenAI(base_url=BASE + "/v1", api_key="none")
    assert MODEL in [model.id for model in client.models.list()]
    answer = client.embeddings.create(model=MODEL, input=TEXTS)
    assert answer.usage.total_tokens > 0
    floats = client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    return [[one.embedding for one in kind.data] for kind in (answer, floats)]


def huggingface_hub():
    from huggingface_hub import InferenceClient

    client = InferenceClient(model=BASE)
    cosines = client.sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:])
    expected = plain()
    assert np.allclose(cosines, expected[1:] @ expected[0], atol=1e-5)
    return [[np.array(client.feature_extraction(text)).reshape(-1) for text in TEXTS]]


def langchain_openai():
    from langchain_openai import OpenAIEmbeddings

    embeddings = OpenAIEmbeddings(
        base_url=BASE + "/v1", api_key="none", model=MODEL, check_embedding_ctx_length=False
    )
    return [embeddings.embed_documents(TEXTS), [embeddings.embed_query(text) for text in TEXTS]]


def llama_index():
    from llama_index.embeddings.openai import OpenAIEmbedding

    embedding = OpenAIEmbedding(api_base=BASE + "/v1", api_key="none", model_name=MODEL)
    return [embedding.get_text_embedding_batch(TEXTS)]


expected = plain()
for client in (openai, huggingface_hub, langchain_openai, llama_index):
    if importlib.util.find_spec(client.__name__) is None:
        print(client.__name__, "is not installed")
        continue
    for found in client():
        assert np.allclose(np.array(found), expected, atol=1e-5), client.__name__
    print(client.__name__, "agrees")
