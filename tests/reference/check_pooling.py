"""Archives of all positions, of the mean and of the last token must tell the same.

check_pooling.py CORPUS.h5 ALL.h5 MEAN.h5 LAST.h5
"""

import sys

import h5py
import numpy as np

corpus, everything, mean, last = (h5py.File(path, "r") for path in sys.argv[1:])
states = everything["activation"][:].astype(np.float64)
evaluation = np.flatnonzero(corpus["split"][:] == 1)[: len(states)]
offset, visual_at = corpus["offset"][:], corpus["visual_at"][:]
images = corpus["image"][:]
names, longest = [], 0
for row, sample in enumerate(evaluation):
    scored = corpus["scored"][offset[sample] : offset[sample + 1]]
    token = np.arange(len(scored))
    position = token + (token >= visual_at[sample])  # one visual token
    longest = max(longest, len(scored) + 1)
    assert np.all(states[row, len(scored) + 1 :] == 0)
    assert np.all(np.any(states[row, : len(scored) + 1] != 0, axis=1))
    expected = states[row, position[scored == 1]].mean(axis=0)
    assert np.allclose(mean["activation"][row], expected, rtol=1e-6, atol=1e-7)
    assert np.array_equal(last["activation"][row], everything["activation"][row, len(scored)])
    name = images[sample].decode()
    names.append(f"{name}#{sum(n.rsplit('#', 1)[0] == name for n in names)}")
assert states.shape[1] == longest
for file in (everything, mean, last):
    assert [i.decode() for i in file["sample_id"][:]] == names
    assert file.attrs["side"] == "language"
