"The benchmark of a GPU, with the CPU in its place: all of it that needs none. Its figures mean nothing."
import sys
from pathlib import Path

import pytest
import torch

from commands import apart

here = Path(__file__).parent.parent/'benchmarks'


def load():
    sys.path.insert(0, str(here))
    import gpu
    return gpu


def whole(out):
    load().main('cpu', out, [*load().PARTS], 'first_step_agrees')


def with_faults(out):
    "One part fails, one is late, one would begin after its time"
    gpu = load()
    def fails(self):
        yield 'So far.'
        raise ValueError('no luck\nhere')
    def late(self):
        with gpu.at_most(.01):
            while True: yield ''
    gpu.Parts.tests, gpu.Parts.others, gpu.Parts.kernels = fails, late, lambda self: ['Done.']
    gpu.PARTS = dict(tests=('One', 50), others=('Two', 50), kernels=('Three', 50), recipe=('Four', -200))
    gpu.main('cpu', out, [*gpu.PARTS], '')


def without_a_gpu(out): load().main('cuda', out, [], '')


def page(f, out):
    "What was written, and its parts by title"
    r = apart(f, out, cwd=out.parent, MNIST_DIR='')
    text = out.read_text()
    return r, text, dict(o.split('\n\n', 1) for o in text.split('\n## ')[1:])


def test_the_benchmark_of_a_gpu_runs_through(tmp_path):
    r, text, parts = page(whole, tmp_path/'gpu.md')
    assert r.returncode == 0, r.stderr
    assert [*parts] == ['Tests', 'Against others', "Against the kernels' own time", 'Many seeds at once', 'Whole runs']
    assert 'It failed' not in text and 'lack of time' not in text
    rows = {title: sum(o.startswith('| ') and '--' not in o for o in said.splitlines()) for title, said in parts.items()}
    assert rows['Tests'] == 2 and '| passed | 1 |' in parts['Tests'] or '| skipped | 1 |' in parts['Tests']
    assert rows['Against others'] >= 6 and [*rows.values()][2:] == [3, 3, 4]


def test_parts_that_fail_say_so_and_the_rest_goes_on(tmp_path):
    r, _, parts = page(with_faults, tmp_path/'gpu.md')
    assert r.returncode == 0, r.stderr
    assert {k: v.strip() for k, v in parts.items()} == {
        'One': 'So far.\n\nIt failed: ValueError: no luck here', 'Two': 'It failed: TimeoutError: it was not done in 0 s',
        'Three': 'Done.', 'Four': 'Left out for lack of time.'}


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu_the_page_says_so_and_what_was_measured_stays(tmp_path):
    out = tmp_path/'gpu.md'
    r, text, _ = page(without_a_gpu, out)
    assert r.returncode == 1 and 'torch sees no CUDA device' in r.stderr and 'Not measured yet' in text
    out.write_text('# Measured\n')
    assert page(without_a_gpu, out)[1] == '# Measured\n'
