"""Makes `cases.json`: probabilities of tokens by their frequency, smoothed by one, and by
interpolated trigrams of Kneser and Ney, counted in the plainest way from Chen and Goodman (1998).

    python make.py

A case has a corpus of rows of token ids, the ids that are never asked for (they are context
only), the number of kinds of the others, and the trigrams that are asked for, of which some were
never seen. 2**32 - 1 stands before a row's first token.
"""

import collections
import json
import math
import random
from pathlib import Path

START = 2**32 - 1


def grams(corpus, special):
    for row in corpus:
        padded = [START, START, *row]
        for at in range(2, len(padded)):
            if padded[at] not in special:
                yield tuple(padded[at - 2 : at + 1])


def discount(counts):
    once = sum(c == 1 for c in counts.values())
    twice = sum(c == 2 for c in counts.values())
    return once / (once + 2 * twice) if once and twice else 0.5


def level(counts, gram, lower):
    after = [c for other, c in counts.items() if other[:-1] == gram[:-1]]
    if not after:
        return lower
    d = discount(counts)
    return max(counts.get(gram, 0) - d, 0) / sum(after) + d * len(after) / sum(after) * lower


def case(seed, kinds, rows, longest, special=(0,)):
    draw = random.Random(seed)
    weights = [1 / (1 + i) for i in range(kinds)]

    def row():
        out, previous = [0], 1
        for _ in range(draw.randint(0, longest)):
            word = 1 + draw.choices(range(kinds), weights)[0]
            previous = 1 + previous % kinds if draw.random() < 0.5 else word
            out.append(previous)
        return out

    corpus = [row() for _ in range(rows)]
    seen = list(grams(corpus, special))
    trigrams = collections.Counter(seen)
    tokens = collections.Counter(w for _, _, w in seen)
    bigrams = collections.Counter((v, w) for _, v, w in trigrams)
    unigrams = collections.Counter((w,) for _, w in bigrams)
    asked = list(grams([row() for _ in range(4)], special))[:30]
    asked += [(kinds + 1, kinds + 2, 1), (1, 1, kinds), (START, START, 1)]
    unigram = [(tokens[w] + 1) / (len(seen) + kinds) for _, _, w in asked]
    trigram = []
    for u, v, w in asked:
        p = level(unigrams, (w,), 1 / kinds)
        p = level(bigrams, (v, w), p)
        trigram.append(level(trigrams, (u, v, w), p))

    def perplexity(ps):
        return math.exp(-sum(map(math.log, ps)) / len(ps))

    return dict(kinds=kinds, special=list(special), corpus=corpus, asked=asked, unigram=unigram,
                trigram=trigram, unigram_perplexity=perplexity(unigram),
                trigram_perplexity=perplexity(trigram))


cases = [case(1, 4, 6, 8), case(2, 20, 40, 12), case(3, 6, 300, 10), case(4, 3, 1, 2)]
Path(__file__).with_name("cases.json").write_text(json.dumps(cases) + "\n")
