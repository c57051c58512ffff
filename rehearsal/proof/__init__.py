"""The proof: every operator and every benign change against the judge, and the figure that this gives.

A trial is one real rehearsal on the local cluster, tampered with by one operator. A witness that does not ask our
judge says whether the mutant differs at all; the rivals are what other restore tests look at, on the same mutant. The
matrix adds up who was killed, by which checks, and named or not; `docs/proof.md` and `docs/proof.json` say it.
"""
