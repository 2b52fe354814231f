"Folders, names and downloads: what is found where, and what bad servers do."
import gzip
import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from gan_nbdev.datasets import files, idx
from gan_nbdev.datasets.files import csv, get_data, npy
from gan_nbdev.datasets.idx import download, fashion_mnist, idx_images, mnist, read_idx
from gan_nbdev.datasets.images import images
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.experiments import experiment
from gan_nbdev.run_folders import check_run, load_run, read_record
from test_hostile import idx_bytes

pytestmark = pytest.mark.filterwarnings('ignore:columns that never vary',
                                        'ignore::DeprecationWarning:torch')


# --- tables, arrays ------------------------------------------------------------------------------

@pytest.mark.parametrize('read', [read_idx, csv, npy])
def test_no_file_no_content(read, tmp_path):
    with pytest.raises(FileNotFoundError, match='no such file'): read(tmp_path/'nowhere')
    with pytest.raises(ValueError, match='is not a file'): read(tmp_path)
    (tmp_path/'empty').touch()
    with pytest.raises(ValueError, match='is empty'): read(tmp_path/'empty')

@pytest.mark.parametrize('read', [read_idx, csv, npy, idx_images, images, experiment, check_run, read_record, load_run])
def test_an_empty_path_is_none(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="^'' is no path: the current folder is '.'$"): read('')

def test_idx_folders(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (4, 28, 28), 'u1')
    for place in ('', 'raw', 'mnist', 'MNIST/raw'):
        folder = tmp_path/f'in_{place.replace("/", "_")}'
        (folder/place).mkdir(parents=True)
        (folder/place/'train-images-idx3-ubyte.gz').write_bytes(gzip.compress(idx_bytes(x)))
        data = mnist(folder)
        assert len(data) == 4 and data.shape == (28, 28) and data.bounded
        back = data.unscale(data.x).round().to(torch.uint8)
        assert torch.equal(back, torch.from_numpy(x).flatten(1))
    (tmp_path/'small').mkdir()
    (tmp_path/'small/train-images.idx3-ubyte').write_bytes(idx_bytes(x[:, :7]))
    assert idx_images(tmp_path/'small').shape == (7, 28)
    with pytest.raises(ValueError, match=r'shape \(28, 28\), not \(7, 28\)'):
        mnist(tmp_path/'small')
    for n in (0, 1, 5, 2.5, '3'):
        with pytest.raises(ValueError, match='n must be a whole number from 2 to 4'):
            idx_images(tmp_path/'in_', n=n)
    with pytest.raises(FileNotFoundError, match='t10k-images'): mnist(tmp_path/'in_', split='test')

@pytest.mark.parametrize('content', [b'1,"' + b'2'*200_000, b'\xff\xfe1\0,\0', b'1,2\n3,\x81',
                                     b'1\n\0\n'])
def test_csv_not_text(tmp_path, content):
    (tmp_path/'a.csv').write_bytes(content)
    with pytest.raises(ValueError, match='a.csv'): csv(tmp_path/'a.csv')


# --- downloads -----------------------------------------------------------------------------------

BODY = np.random.default_rng(0).bytes(500_000)
SHA, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()

class Server(BaseHTTPRequestHandler):
    "The path says how to serve BODY; `asked` keeps (path, first byte asked for)"
    def log_message(self, *args): pass
    def do_GET(self):
        asked = self.headers.get('Range')
        start = int(asked[6:-1]) if asked else 0
        mode = self.path.split('/')[1]
        self.server.asked.append((mode, start))
        if mode == 'gone': return self.send_error(404)
        if mode == 'drop': return self.connection.close()
        if mode == 'norange': start = 0
        if start >= len(BODY): return self.send_error(416)
        body = b'<html>please log in</html>' if mode == 'portal' else BODY[start:]
        self.send_response(206 if start and mode != 'portal' else 200)
        if mode != 'nolength': self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body)//2] if mode == 'half' else body)
        if mode == 'stall': self.server.wait.wait(5)

@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    s = ThreadingHTTPServer(('127.0.0.1', 0), Server)
    s.asked, s.wait = [], threading.Event()
    s.at = lambda *modes: [f'http://127.0.0.1:{s.server_port}/{m}/data.bin' for m in modes]
    t = threading.Thread(target=s.serve_forever, kwargs=dict(poll_interval=.01), daemon=True)
    t.start()
    yield s
    s.wait.set(); s.shutdown(); s.server_close(); t.join()

@pytest.fixture
def dest(tmp_path): return tmp_path/'cache'/'data.bin'

def left(dest): return sorted(p.name for p in dest.parent.iterdir())
def get(urls, dest, checksum=SHA, **kw): return download(urls, dest, checksum, progress=False, **kw)

@pytest.mark.parametrize('checksum', [SHA, SHA.upper(), MD5, None])
@pytest.mark.parametrize('mode', ['plain', 'norange', 'nolength'])
def test_download(server, dest, checksum, mode):
    assert get(server.at(mode)[0], dest, checksum) == dest
    assert dest.read_bytes() == BODY and left(dest) == ['data.bin']
    get(server.at(mode)[0], dest, checksum)
    assert server.asked == [(mode, 0)]        # the second call asked nobody

def test_progress_shows_rate_and_size(server, dest, capsys):
    download(server.at('plain'), dest, SHA)
    bar = capsys.readouterr().err
    assert 'data.bin' in bar and 'B/s' in bar and '500k/500k' in bar

def test_interrupted_then_resumed(server, dest):
    with pytest.raises(ConnectionError, match='250,000 of 500,000 bytes'):
        get(server.at('half'), dest)
    assert left(dest) == ['data.bin.part']
    assert dest.with_name('data.bin.part').read_bytes() == BODY[:250_000]
    get(server.at('plain'), dest)
    assert dest.read_bytes() == BODY and left(dest) == ['data.bin']
    assert server.asked == [('half', 0), ('plain', 250_000)]

def test_resume_where_range_is_ignored(server, dest):
    dest.parent.mkdir(); dest.with_name('data.bin.part').write_bytes(BODY[:1000])
    get(server.at('norange'), dest)
    assert dest.read_bytes() == BODY and server.asked == [('norange', 1000)]

@pytest.mark.parametrize('part', [BODY, BODY + b'more', b'x'*1000])
def test_part_that_is_whole_or_wrong(server, dest, part):
    dest.parent.mkdir(); dest.with_name('data.bin.part').write_bytes(part)
    get(server.at('plain', 'plain'), dest)         # a wrong part costs one attempt
    assert dest.read_bytes() == BODY and left(dest) == ['data.bin']

def test_without_checksum_begins_anew(server, dest):
    dest.parent.mkdir(); dest.with_name('data.bin.part').write_bytes(b'x'*1000)
    get(server.at('plain'), dest, None)
    assert dest.read_bytes() == BODY and server.asked == [('plain', 0)]

@pytest.mark.parametrize('bad', ['gone', 'drop', 'portal', 'half'])
def test_second_mirror(server, dest, bad):
    get(server.at(bad, 'plain'), dest)
    assert dest.read_bytes() == BODY and left(dest) == ['data.bin']

def test_mirror_that_nobody_serves(server, dest):
    get(['http://127.0.0.1:9/data.bin', *server.at('plain')], dest)
    assert dest.read_bytes() == BODY

def test_stalled_mirror_times_out(server, dest):
    server.wait.clear()
    class Slow(Server):
        def do_GET(self): self.server.wait.wait(5)
    server.RequestHandlerClass = Slow
    with pytest.raises(ConnectionError, match='timed out'):
        get(server.at('plain'), dest, timeout=.2)

def test_wrong_checksum(server, dest):
    with pytest.raises(ValueError) as e: get(server.at('plain'), dest, '0'*64)
    assert SHA in str(e.value) and '0'*64 in str(e.value) and '\n' not in str(e.value)
    assert left(dest) == []

def test_damaged_file_is_replaced(server, dest):
    dest.parent.mkdir(); dest.write_bytes(b'damaged')
    get(server.at('plain'), dest)
    assert dest.read_bytes() == BODY

def test_all_mirrors_down(server, dest):
    with pytest.raises(ConnectionError) as e:
        get(server.at('gone', 'drop'), dest, hint='Look elsewhere.')
    for o in (*server.at('gone', 'drop'), 'Not Found', 'Look elsewhere.'): assert o in str(e.value)
    assert '\n' not in str(e.value) and left(dest) == []

def test_ctrl_c_keeps_the_part(server, dest, monkeypatch):
    class Bar(idx.tqdm):
        def update(self, n=1): raise KeyboardInterrupt
    monkeypatch.setattr(idx, 'tqdm', Bar)
    with pytest.raises(KeyboardInterrupt): get(server.at('plain'), dest)
    assert left(dest) == ['data.bin.part']
    assert BODY.startswith(dest.with_name('data.bin.part').read_bytes())

def test_nothing_begins_when_the_request_is_bad(server, dest):
    plain = server.at('plain')
    for urls, checksum in (([], SHA), ('file:///etc/passwd', SHA), (plain, 'abc'), (plain, 'z'*64)):
        with pytest.raises(ValueError): get(urls, dest, checksum)
    assert not dest.parent.exists() and server.asked == []


# --- where MNIST is looked for -------------------------------------------------------------------

def fake_mnist(folder, split='train', n=3, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(seed).integers(0, 256, (n, 28, 28), 'u1')
    name = f'{dict(train="train", test="t10k")[split]}-images-idx3-ubyte.gz'
    (folder/name).write_bytes(gzip.compress(idx_bytes(x)))
    return (folder/name).read_bytes()

@pytest.fixture
def no_mnist(monkeypatch, tmp_path):
    for o in ('MNIST_DIR', 'FASHION_MNIST_DIR'): monkeypatch.delenv(o, raising=False)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path/'xdg'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')

def test_mnist_lookup_order(no_mnist, monkeypatch, tmp_path):
    fake_mnist(tmp_path/'xdg/gan_nbdev/mnist', n=2)
    assert len(mnist()) == 2
    fake_mnist(tmp_path/'env', n=3); monkeypatch.setenv('MNIST_DIR', str(tmp_path/'env'))
    assert len(mnist()) == 3
    fake_mnist(tmp_path/'given', n=4)
    assert len(mnist(tmp_path/'given')) == len(get_data('mnist', tmp_path/'given')) == 4
    monkeypatch.setenv('MNIST_DIR', str(tmp_path/'nowhere'))
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'): mnist()

def test_some_of_the_images_have_their_own_labels(no_mnist, monkeypatch, tmp_path):
    "As the paper's 50,000 of 60,000"
    monkeypatch.setitem(idx._most, 'paper', 3)
    fake_mnist(tmp_path, n=5)
    (tmp_path/'train-labels-idx1-ubyte').write_bytes(idx_bytes(np.array([0, 1, 2, 1, 1], 'u1')))
    data = mnist(tmp_path, 'paper')
    assert len(data) == 3 and data.labels.tolist() == [0, 1, 2]
    assert torch.allclose(data.shares, torch.tensor(1/3))
    (tmp_path/'train-labels-idx1-ubyte').write_bytes(idx_bytes(np.array([1, 1, 1, 0, 0], 'u1')))
    assert mnist(tmp_path, n=3).classes is None   # one class alone tells nothing

@pytest.mark.parametrize('load', [mnist, fashion_mnist])
def test_mnist_downloads_into_the_cache(no_mnist, monkeypatch, server, tmp_path, load):
    name = load.__name__
    body = fake_mnist(tmp_path/'origin')
    class Mirror(Server):
        def do_GET(self):
            self.server.asked.append(self.path)
            sent = gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 2])) if 'labels' in self.path else body
            self.send_response(200)
            self.send_header('Content-Length', str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)
    server.RequestHandlerClass = Mirror
    monkeypatch.setitem(idx._mirrors, name, [f'http://127.0.0.1:{server.server_port}/{name}/'])
    with pytest.raises(ValueError, match=f'wrong sha256 checksum.*{name.upper()}_DIR'): load()
    monkeypatch.setitem(idx._sha256, (name, 'train'), hashlib.sha256(body).hexdigest())
    for _ in range(2): assert len(load()) == 3 and load().labels.tolist() == [7, 0, 2]
    images, labels = (f'/{name}/train-{o}-ubyte.gz' for o in ('images-idx3', 'labels-idx1'))
    assert server.asked == [images, images, labels]  # wrong, right, then cached
    assert (tmp_path/f'xdg/gan_nbdev/{name}/train-images-idx3-ubyte.gz').read_bytes() == body

def test_mnist_out_of_reach(no_mnist, monkeypatch):
    monkeypatch.setitem(idx._mirrors, 'mnist', ['http://127.0.0.1:9/mnist/'])
    with pytest.raises(ConnectionError) as e: mnist()
    for o in ('http://127.0.0.1:9/mnist/train-images-idx3-ubyte.gz', '--data_dir', 'MNIST_DIR'):
        assert o in str(e.value)
    assert '\n' not in str(e.value)

def test_real_mnist():
    folder = os.environ.get('MNIST_DIR')
    if not folder: pytest.skip('MNIST_DIR is not set')
    digest = dict(train='6bbc9ace898e44ae57da46a324031adb', test='2646ac647ad5339dbf082846283269ea')
    for split, n in (('train', 60_000), ('test', 10_000)):
        x = read_idx(idx.find_idx(folder, 'mnist', split))
        assert tuple(x.shape) == (n, 28, 28)
        assert hashlib.md5(idx_bytes(x.numpy())).hexdigest() == digest[split]


# --- one door ------------------------------------------------------------------------------------

def test_get_data_knows_names():
    for name in files.shapes: assert get_data(name).name == name
    assert len(get_data('digits')) == 1797
    with pytest.raises(ValueError) as e: get_data('rinng')
    for o in (*files.shapes, *files.real_data, '.csv', '.npy', 'folder'):
        assert o in str(e.value)

@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(what=st.text(max_size=300))
@example('')
@example('~nobody/x')
@example('a'*5000)
def test_get_data_any_text(what):
    assume('\0' in what or not os.path.exists(os.path.expanduser(what)))
    assume(what.replace('-', '_') not in {*files.shapes, *files.real_data})
    with pytest.raises((ValueError, FileNotFoundError)): get_data(what)

@pytest.mark.parametrize('what', [None, 3, 2.5, b'ring', [1, 2], {}, object()])
def test_get_data_refuses(what):
    with pytest.raises(ValueError, match='data must be a name, path, tensor'): get_data(what)

def test_get_data_finds_what_is_in_a_path(tmp_path, monkeypatch):
    x = np.arange(6.).reshape(3, 2)
    np.save(tmp_path/'rows.npy', x)
    np.savetxt(tmp_path/'rows.txt', x, header='a b')
    np.savetxt(tmp_path/'rows.csv', x, delimiter=',')
    for o in ('rows.npy', 'rows.txt', 'rows.csv'):
        data = get_data(tmp_path/o)
        assert isinstance(data, Samples) and np.allclose(data.unscale(data.x), x, atol=1e-6)
    fake_mnist(tmp_path/'idx')
    for o in ('idx', 'idx/train-images-idx3-ubyte.gz'):
        assert get_data(tmp_path/o).shape == (28, 28)
    (tmp_path/'model.bin').write_bytes(b'1')
    with pytest.raises(ValueError, match=r'\.csv.*\.npy.*folder of images'):
        get_data(tmp_path/'model.bin')
    monkeypatch.chdir(tmp_path)
    (tmp_path/'ring').mkdir()
    assert get_data('ring').name == 'ring'                              # a name wins over a path
    with pytest.raises(ValueError, match='has no images'): get_data('./ring')
    with pytest.raises(ValueError, match='has no images'): get_data(Path('ring'))


def test_ctrl_c_while_a_folder_is_locked_leaves_nothing(tmp_path, monkeypatch):
    from filelock import FileLock
    from gan_nbdev.support.folders import writing
    acquire = FileLock.acquire
    def pressed(self, *args, **kw):
        acquire(self, *args, **kw)
        raise KeyboardInterrupt
    monkeypatch.setattr(FileLock, 'acquire', pressed)
    with pytest.raises(KeyboardInterrupt), writing(tmp_path/'a'/'b'): pass
    assert not (tmp_path/'a').exists()
    monkeypatch.undo()
    with writing(tmp_path/'a'):
        monkeypatch.setattr(FileLock, 'acquire', pressed)
        with pytest.raises(KeyboardInterrupt), writing(tmp_path/'a'): pass   # whoever holds it keeps it
        assert (tmp_path/'a'/'.lock').exists()
    assert not (tmp_path/'a').exists()
