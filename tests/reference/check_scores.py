"""Scores of mordal-score against independent implementations in NumPy and SciPy.

check_scores.py make FOLDER                arrays, labels and label embeddings to score
check_scores.py METHOD FOLDER SCORES.csv   compares what `mordal-score --print csv` printed

logme  the maximum of the evidence over both precisions, found by scipy.optimize on the dense matrix
       n x n, within 1e-8; and the fixed point as published (11 rounds, stops at 1e-3, 1e-5 added to
       its denominators), within 1e-4 where it settles in its 11 rounds and 1e-5 is small beside
       the denominators, and not above it where not
leep   the formula, within 1e-9 (probabilities are stored as float32)
nleep  PCA by eigenvectors, k-means++ from Philox in integers, EM in probabilities of dense
       multivariate normals, within 1e-8; where scikit-learn is importable, its PCA and
       GaussianMixture from the same start too, within 1e-6
emms   alternating least squares and projected gradient steps on the simplex, within 1e-7
"""
import csv
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import multivariate_normal


def make(folder):
    rng = np.random.default_rng(6)
    folder.mkdir(exist_ok=True)
    n, n_class = 120, 5
    y = rng.integers(0, n_class, n)
    y[:3] = 0
    y[17] = n_class  # a class of one row
    centre = rng.normal(size=(n_class + 1, 12))
    signal = centre[y] + rng.normal(size=(n, 12))
    features = {
        "plain": signal,
        "offset": 40 + 3 * signal,
        "constant": np.c_[signal, np.full((n, 2), 2.5)],
        "doubled": np.c_[signal, signal[:, :5]],
        "noise": rng.normal(size=(n, 12)),
        "wide": np.c_[signal, rng.normal(size=(n, 200))],
    }
    for name, x in features.items():
        np.save(folder / f"{name}.npy", x.astype("f4"))
    for name, sharp in (("sharp", 3), ("flat", 0.3)):
        logit = sharp * signal[:, :7]
        p = np.exp(logit - logsumexp(logit, axis=1, keepdims=True))
        np.save(folder / f"probability-{name}.npy", p.astype("f4"))
    for name, noise in (("one", 0.1), ("two", 1), ("three", 30)):
        label = centre[y][:, :4] + noise * rng.normal(size=(n, 4))
        np.save(folder / f"label-{name}.npy", (5 + 100 * noise * label).astype("f4"))
    (folder / "ids.txt").write_text("".join(f"s{i}\n" for i in range(n)))
    order = rng.permutation(n)
    rows = "".join(f"s{i},kind {y[i]}\n" for i in order)
    (folder / "labels.csv").write_text("sample_id,label\n" + rows)


def load_labels(folder):
    with open(folder / "labels.csv") as file:
        rows = list(csv.DictReader(file))
    ids = (folder / "ids.txt").read_text().split()
    at = [ids.index(r["sample_id"]) for r in rows]
    names = sorted({r["label"] for r in rows})
    return at, np.array([names.index(r["label"]) for r in rows]), len(names)


def evidence(log_ratio, x, y):
    """Of weights' precision = exp(log_ratio) times that of the noise; the noise at its best."""
    n = len(y)
    covariance = np.eye(n) + x @ x.T / np.exp(log_ratio)
    _, log_det = np.linalg.slogdet(covariance)
    return -0.5 * (log_det + n * np.log(2 * np.pi * y @ np.linalg.solve(covariance, y) / n) + n)


def logme_brute(x, y):
    grid = np.arange(-12, 24, 0.5)
    at = grid[np.argmax([evidence(g, x, y) for g in grid])]
    found = minimize_scalar(lambda g: -evidence(g, x, y), bounds=(at - 0.5, at + 0.5),
                            method="bounded", options={"xatol": 1e-9})
    return -found.fun / len(y)


def logme_published(x, y):
    n, d = x.shape
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    sigma, x2 = s**2, (u.T @ y) ** 2
    rest, alpha, beta = y @ y - x2.sum(), 1.0, 1.0
    for _ in range(11):
        t = alpha / beta
        gamma = (sigma / (sigma + t)).sum()
        m2 = (sigma * x2 / (t + sigma) ** 2).sum()
        res2 = (x2 / (1 + sigma / t) ** 2).sum() + rest
        alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (res2 + 1e-5)
        settled = abs(alpha / beta - t) / t <= 1e-3
        if settled:
            break
    k = len(sigma)  # d - k eigenvalues more are alpha itself
    return (d / 2 * np.log(alpha) + n / 2 * np.log(beta) - 0.5 * np.log(alpha + beta * sigma).sum()
            - (d - k) / 2 * np.log(alpha) - beta / 2 * res2 - alpha / 2 * m2
            - n / 2 * np.log(2 * np.pi)) / n, settled and min(m2, res2) > 1e-3


def check_logme(name, x, y, n_class, score):
    """Returns how many classes the published program settles on."""
    brute = np.zeros(n_class)
    n_settled = 0
    for c in range(n_class):
        target = (y == c).astype(float)
        brute[c] = logme_brute(x, target)
        published, settled = logme_published(x, target)
        assert published < brute[c] + 1e-4, (name, c, published, brute[c])
        assert published > brute[c] - 1e-4 or not settled, (name, c, published, brute[c])
        n_settled += settled
    assert abs(score - brute.mean()) < 1e-8, (name, score, brute.mean())
    return n_settled


def leep(p, y, n_class):
    p = p / p.sum(1, keepdims=True)
    joint = np.array([p[y == c].sum(0) for c in range(n_class)]) / len(y)
    given = joint / joint.sum(0)
    return np.mean(np.log((given[y] * p).sum(1)))


def philox(counter, key):
    """Philox 4x32-10 (Salmon et al. 2011)."""
    for r in range(10):
        high0, low0 = divmod(0xD2511F53 * counter[0], 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * counter[2], 1 << 32)
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0]
        key = [(key[0] + 0x9E3779B9) % (1 << 32), (key[1] + 0xBB67AE85) % (1 << 32)]
    return counter


def draws(n, seed):
    """Uniform in [0, 1), of 24 bits."""
    words = [w for i in range((n + 3) // 4) for w in philox([i, 0, 0, 0], [seed, 0])]
    return [(w >> 8) / (1 << 24) for w in words[:n]]


def start(x, n_part, seed):
    distance = np.ones(len(x))
    means = []
    for v, u in enumerate(draws(n_part, seed)):
        row = int(np.argmax(np.cumsum(distance) > u * distance.sum()))
        means.append(x[row])
        d = ((x - x[row]) ** 2).sum(1)
        distance = d if v == 0 else np.minimum(distance, d)
    means, part = np.array(means), None
    for _ in range(300):
        new = ((x[:, None] - means) ** 2).sum(2).argmin(1)
        if part is not None and np.array_equal(new, part):
            break
        part = new
        assert len(set(part)) == n_part, "a part is empty; that case has no reference"
        means = np.array([x[part == v].mean(0) for v in range(n_part)])
    return part


def maximise(x, r, ridge):
    total = r.sum(0) + 10 * np.finfo(float).eps
    means = r.T @ x / total[:, None]
    covariances = [((r[:, v] * (x - means[v]).T) @ (x - means[v])) / total[v]
                   + ridge * np.eye(x.shape[1]) for v in range(r.shape[1])]
    return total / total.sum(), means, covariances


def expect(x, parameters):
    terms = np.array([np.log(w) + multivariate_normal(m, c).logpdf(x)
                      for w, m, c in zip(*parameters)]).T
    likelihood = logsumexp(terms, axis=1)
    return np.exp(terms - likelihood[:, None]), likelihood.mean()


def mixture(x, part, ridge):
    r = np.eye(part.max() + 1)[part]
    parameters, before = maximise(x, r, ridge), -np.inf
    for _ in range(100):
        r, likelihood = expect(x, parameters)
        parameters = maximise(x, r, ridge)
        if abs(likelihood - before) < 1e-3:
            break
        before = likelihood
    return expect(x, parameters)[0]


def principal(x):
    x = x - x.mean(0)
    value, vector = np.linalg.eigh(x.T @ x)
    value, vector = value[::-1], vector[:, ::-1]
    k = int(np.searchsorted(np.cumsum(value) / value.sum(), 0.8, side="right")) + 1
    return x @ vector[:, :k]


def nleep_sklearn(x, y, n_class, part, ridge):
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture
    z = PCA(0.8, svd_solver="full").fit_transform(x)
    weights, means, covariances = maximise(z, np.eye(part.max() + 1)[part], ridge)
    inverse = np.linalg.inv(covariances)
    model = GaussianMixture(part.max() + 1, reg_covar=ridge, weights_init=weights, means_init=means,
                            precisions_init=(inverse + inverse.transpose(0, 2, 1)) / 2).fit(z)
    return leep(model.predict_proba(z), y, n_class)


def check_nleep(name, x, y, n_class, score):
    z = principal(x)
    part = start(z, min(5 * n_class, len(y) // 2), 1)
    ridge = 1e-6 * z.var(0).mean()
    expected = leep(mixture(z, part, ridge), y, n_class)
    assert abs(score - expected) < 1e-8, (name, score, expected)
    try:
        peer = nleep_sklearn(x, y, n_class, part, ridge)
    except ImportError:
        return
    assert abs(score - peer) < 1e-6, (name, score, peer)


def to_simplex(t):
    u = np.sort(t)[::-1]
    excess = (np.cumsum(u) - 1) / np.arange(1, len(t) + 1)
    return np.maximum(t - excess[np.nonzero(u > excess)[0][-1]], 0)


def emms(x, labels):
    x = np.c_[x, np.ones(len(x))]
    z = np.array([(k - k.mean(0)) for k in labels])
    z = z / np.sqrt((z**2).mean((1, 2), keepdims=True))
    t = np.full(len(z), 1 / len(z))
    step = 1 / np.einsum("kij,lij->kl", z, z).trace()
    for _ in range(200000):
        fit = x @ np.linalg.lstsq(x, np.tensordot(t, z, 1), rcond=None)[0]
        new = to_simplex(t - step * np.einsum("kij,ij->k", z, np.tensordot(t, z, 1) - fit))
        if np.abs(new - t).max() < 1e-12:
            break
        t = new
    return -np.mean((np.tensordot(t, z, 1) - fit) ** 2)


def main():
    method, folder = sys.argv[1], Path(sys.argv[2])
    if method == "make":
        make(folder)
        return
    at, y, n_class = load_labels(folder)
    with open(sys.argv[3]) as file:
        rows = list(csv.DictReader(file))
    assert rows
    n_settled = 0
    for row in rows:
        name, score = row["model"], float(row["score"])
        x = np.load(folder / f"{name}.npy").astype(float)
        if method == "logme":
            n_settled += check_logme(name, x[at], y, n_class, score)
        elif method == "leep":
            expected = leep(x[at], y, n_class)
            assert abs(score - expected) < 1e-9, (name, score, expected)
        elif method == "nleep":
            check_nleep(name, x[at], y, n_class, score)
        else:
            labels = [np.load(path).astype(float) for path in sorted(folder.glob("label-*.npy"))]
            expected = emms(x, labels)
            assert abs(score - expected) < 1e-7, (name, score, expected)
    assert method != "logme" or n_settled > 15, n_settled


main()
