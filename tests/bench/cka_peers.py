#!/usr/bin/env python3
"""Time one other package on arrays in memory; one JSON line.

usage: cka_peers.py PEER BATCH FILE.npy...

Called by measure_cka.py. BATCH equal to the rows means full batch. The packages want modules and a data
loader: they get a module whose layer i returns the rows asked for of model i, so that no forward
pass is charged to them.
"""
import json
import os
import resource
import sys
import time
import warnings

os.environ["TQDM_DISABLE"] = "1"


def splitter(x):
    import torch

    class Split(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleList(torch.nn.Identity() for _ in x)
            self.unused = torch.nn.Parameter(torch.zeros(1))
            self.x = [torch.from_numpy(m) for m in x]

        def forward(self, rows):
            for layer, m in zip(self.layers, self.x):
                layer(m[int(rows[0]):int(rows[1])])
            return rows
    return Split(), [f"layers.{i}" for i in range(len(x))]


def loader(x, batch):
    import torch
    n = len(x[0])
    ranges = [(torch.tensor([r, min(r + batch, n), 0, 0]), 0) for r in range(0, n, batch)]
    return torch.utils.data.DataLoader(ranges, batch_size=None)


def pytorch_cka(x, batch):
    from cka import compute_cka
    module, names = splitter(x)
    return compute_cka(module, module, loader(x, batch), layers=names, device="cpu",
                       progress=False)[0]


def torch_cka(x, batch):
    from torch_cka import CKA
    module, names = splitter(x)
    cka = CKA(module, module, "a", "b", model1_layers=names, model2_layers=names)
    cka.compare(loader(x, batch), loader(x, batch))
    return cka.export()["CKA"]


def cka_pytorch(x, batch):
    from cka_pytorch.cka import CKACalculator
    module, names = splitter(x)
    return CKACalculator(module, module, names, names, verbose=False).calculate_cka_matrix(
        loader(x, batch), num_epochs=1)


def torch_best(x, batch):
    """what can be had of torch by hand: every Gram matrix once, U-centred, one product of all"""
    import torch
    x, sums = [torch.from_numpy(m) for m in x], 0
    grams = torch.empty(len(x), batch, batch)
    for r in range(0, len(x[0]) // batch * batch, batch):
        for gram, m in zip(grams, x):
            y = m[r:r + batch] - m[r:r + batch].mean(0)
            torch.mm(y, y.T, out=gram)
        grams.diagonal(dim1=1, dim2=2).zero_()
        mean = grams.sum(1, dtype=torch.float64) / (batch - 2)
        mean = (mean - mean.sum(1, keepdim=True) / (2 * (batch - 1))).float()
        u = grams - mean[:, :, None] - mean[:, None, :]
        u.diagonal(dim1=1, dim2=2).zero_()
        u = u.view(len(x), -1)
        sums = sums + (u @ u.T).double()
    root = sums.diagonal().sqrt()
    return sums / root[:, None] / root[None, :]


PEERS = {"pytorch-cka": pytorch_cka, "torch-best": torch_best, "cka-pytorch": cka_pytorch,
         "torch-cka": torch_cka}
FULL_BATCH = ("pytorch-cka", "torch-best")  # the others would take many minutes or all memory


def main():
    import numpy as np
    import torch
    warnings.simplefilter("ignore")
    peer, batch = PEERS[sys.argv[1]], int(sys.argv[2])
    torch.set_num_threads(1)
    x = [np.load(path) for path in sys.argv[3:]]
    if batch == len(x[0]) and sys.argv[1] not in FULL_BATCH:
        return
    peer([m[:64, :8].copy() for m in x[:3]], 16)  # imports and first calls are not timed
    start = time.process_time()
    value = peer(x, batch)
    print(json.dumps({"cpu_s": time.process_time() - start, "c01": float(value[0][1]),
                      "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
