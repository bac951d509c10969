"""Sums of products by an equation."""

import torch


def cases(m):
    sizes = dict(a=2, b=3, c=2, i=3, j=2, k=4, h=2, d=3)
    for equation in ["ij,jk->ik", "bij,bjk->bik", "bid,bjd->bij", "ij,jk", "ij->ji", "ij->i", "ij->",
                     "i,j->ij", "ij,ij->", "ij,k->i", "bhid,bhjd->bhij", "a,ab,abc->c", "i,i->i",
                     "ij , j -> i", "bi,ij,bj->b"]:
        terms = equation.replace(" ", "").split("->")[0].split(",")
        m.case(f"Einsum {equation}", "Einsum",
               [m.x(*(sizes[letter] for letter in term)) for term in terms],
               lambda *v, e=equation: torch.einsum(e.replace(" ", ""), *v), equation=equation)
    m.case("Einsum of a value and itself", "Einsum", [m.x(2, 3)],
           lambda a, b: torch.einsum("ij,kj->ik", a, b), wires=[0, 0], equation="ij,kj->ik")
