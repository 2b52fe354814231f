"""Files made to do harm: a reader gives the data or one clean line, soon and in bounded memory.

`make hostile` tries thousands of files per reader and writes how many; the usual run tries some.
"""
import gzip, io, os, re, signal, socket, struct, subprocess, sys, textwrap, time, tracemalloc, zipfile, zlib
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load, save

from commands import run as command
from gan_nbdev.cli import gan_train
from gan_nbdev.run_folders import load_run
from gan_nbdev.datasets.files import csv, get_data, npy
from gan_nbdev.datasets.idx import mnist, read_idx
from gan_nbdev.datasets.images import ImageFiles, images

many = int(os.environ.get('GAN_CASES', 100))
cases = settings(max_examples=many, deadline=None, derandomize='GAN_CASES' not in os.environ,
                 database=None, suppress_health_check=list(HealthCheck))
pytestmark = pytest.mark.filterwarnings('ignore')
tried = Counter()

worst = (0, '')   # MiB that a bomb took, and its name

@pytest.fixture(scope='module', autouse=True)
def report(request):
    "The figures as a page, in the file that `GAN_REPORT` names"
    start = time.monotonic()
    yield
    if (file := os.environ.get('GAN_REPORT')) and not request.session.testsfailed:
        sys.path.insert(0, str(Path(__file__).parent.parent/'benchmarks'))
        Path(file).write_text(page(time.monotonic() - start))

def page(seconds):
    from machine import machine, table
    readers = dict(idx='IDX, gzip or not', csv='CSV', npy='`.npy`', images='folders of images', weights='weights of a run',
                   special='pipes, devices, links, sockets', command='commands, whole')
    rows = [(name, *(f'{n:,}' for n in (read + refused, read, refused))) for key, name in readers.items()
            for read, refused in [(tried[key, 'read'], tried[key, 'refused'])]]
    back = ', '.join(f'{tried[key, "as written"]:,} of {readers[key]}' for key in ('idx', 'csv', 'npy', 'images'))
    return f"""# Malicious files

Files that were damaged, or made up, given to every reader: does each answer in one line, soon and in bounded memory?

Each must be read as data or refused in one line, within a minute and in bounded memory. None did otherwise.

{table(['reader', 'tried', 'read', 'refused'], rows)}
Besides, valid files came back as written: {back}. Of bombs (declared sizes up to 2^60, sparse files of a terabyte, 16 GiB in a gzip file, a line \
of a terabyte, gigapixels, 20,000 scans) in a process with 1 GiB to spare, none took more than {worst[0]} MiB: `{worst[1]}`.

Measured in {seconds:.0f} s on {machine()}; written by `make hostile`.
"""


# --- what every reader promises ------------------------------------------------------------------

@contextmanager
def within(seconds):
    def late(*_): raise AssertionError(f'no answer after {seconds} s')
    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try: yield
    finally: signal.alarm(0); signal.signal(signal.SIGALRM, old)

def outcome(reader, read, path, size):
    "`read(path)`, or None when it complained as it should; `size` bounds the memory it may take"
    tracemalloc.start()
    try:
        with within(60): result = read(path)
        tried[reader, 'read'] += 1
        return result
    except (ValueError, FileNotFoundError) as e:
        assert type(e) in (ValueError, FileNotFoundError), type(e)
        assert str(e).isprintable() and str(path.parent) in str(e) and len(str(e)) < 999, str(e)
        tried[reader, 'refused'] += 1
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 30*size + 4_000_000, f'{peak:,} bytes for a file of {size:,}'

extreme = [0, 1, 0x7f, 0x80, 0xff, 2**15, 2**16-1, 2**31-1, 2**31, 2**32-1, 2**63-1, 2**64-1]

@st.composite
def damaged(draw, whole):
    "Bytes cut short, added to, changed, with sizes blown up, or with another file's end"
    content = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content)-1)))
        kind = draw(st.sampled_from(['cut', 'change', 'insert', 'delete', 'append', 'size',
                                     'splice', 'repeat']))
        if kind == 'cut': del content[at:]
        elif kind == 'change' and content: content[at] ^= draw(st.integers(1, 255))
        elif kind == 'insert': content[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif kind == 'delete': del content[at:at+draw(st.integers(1, 8))]
        elif kind == 'size':
            n, order = draw(st.sampled_from([2, 4, 8])), draw(st.sampled_from(['big', 'little']))
            value = draw(st.sampled_from(extreme)) % 2**(8*n)
            content[at:at+n] = value.to_bytes(n, order)
        elif kind == 'splice': content[at:] = draw(whole)[at:]
        elif kind == 'repeat': content[at:at] = content[at:at+50]*draw(st.integers(1, 200))
        else: content += draw(st.binary(min_size=1, max_size=8))
    return bytes(content)

def hostile(whole, lies):
    "Mostly files that are nearly whole"
    return st.one_of(*(damaged(whole) for _ in range(4)), lies, st.binary(min_size=1, max_size=60))


# --- what the formats allow ----------------------------------------------------------------------

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)

def idx_bytes(x):
    return bytes([0, 0, 8, x.ndim]) + struct.pack(f'>{x.ndim}I', *x.shape) + x.tobytes()

@st.composite
def idx_arrays(draw):
    shape = draw(shapes)
    n = int(np.prod(shape))
    return np.frombuffer(draw(st.binary(min_size=n, max_size=n)), 'u1').reshape(shape)

def zipped(raw): return st.sampled_from([raw, gzip.compress(raw), gzip.compress(raw[:5]) +
                                         gzip.compress(raw[5:]) + b'\0'*9])

idx_files = idx_arrays().map(idx_bytes).flatmap(zipped)
idx_lies = st.tuples(st.integers(0, 9), st.lists(st.sampled_from(extreme[:10]), max_size=9),
                     st.binary(max_size=9)).map(
    lambda o: bytes([0, 0, 8, o[0]]) + struct.pack(f'>{len(o[1])}I', *o[1]) + o[2]).flatmap(zipped)

numbers = st.floats(-1e6, 1e6, allow_subnormal=False, width=32)
tables = st.integers(1, 4).flatmap(
    lambda w: st.lists(st.lists(numbers, min_size=w, max_size=w), min_size=2, max_size=8))
column = st.text('abcdefghij()_²é', max_size=8).map(lambda o: 'c' + o)      # never 'nan' or 'inf'

def csv_text(rows, sep=',', header=None, end='\n'):
    lines = ([sep.join(header)] if header else []) + [sep.join(map(repr, r)) for r in rows]
    return end.join(lines) + end

csv_files = st.builds(csv_text, tables, st.sampled_from([',', ';', '\t', ' ', ', ']),
                      st.none() | st.lists(column, min_size=1, max_size=4)).map(str.encode)
csv_lies = st.one_of(
    st.text(',;\t "\n\r0123456789.eE+-_naif#x\x1b', max_size=60).map(str.encode),
    st.text(max_size=40).map(lambda o: o.encode('utf-8', 'surrogatepass')),
    st.lists(st.sampled_from(['1', '"', ',', '\n', '1'*5000, '1e999', '\0', '"\n"', ',,', '9'*99]),
             max_size=400).map(lambda o: ''.join(o).encode()))

dtypes = st.sampled_from('u1 i1 <u2 <i2 >i4 <u4 <i8 >u8 <f2 >f2 <f4 >f4 <f8 >f8 ? g'.split())

@st.composite
def arrays(draw):
    shape, dtype = (draw(st.integers(2, 5)), *draw(shapes)), np.dtype(draw(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    x = rng.integers(0, 2 if dtype == '?' else 100, shape).astype(dtype)
    return np.asfortranarray(x) if draw(st.booleans()) else x

@st.composite
def npy_bytes(draw, x):
    f = io.BytesIO()
    np.lib.format.write_array(f, x, draw(st.sampled_from([(1, 0), (2, 0), (3, 0)])), False)
    return f.getvalue()

npy_files = arrays().flatmap(npy_bytes)

@st.composite
def npy_lies(draw):
    "A header of any text, with any length declared"
    deep = draw(st.sampled_from('([{-~')) * draw(st.sampled_from([3, 99, 9000]))
    number = st.sampled_from([*map(str, extreme), '2', '-1', 'True', '1.', "'a'", '9'*5000, deep])
    shape = st.lists(number, max_size=40).map(lambda o: f'({",".join(o)},)')
    descr = st.sampled_from("'<f8' '|u1' '|O' '<U9' 'f8,f8' '(9,9)f8' '9f8' 'M8[s]' '|V0' '' 3 "
                            "('<f8',(2,)) [('a','<f8')] [('a','|O')] None".split())
    d = (f"{{'descr':{draw(descr)},'fortran_order':{draw(st.sampled_from(['True', 'False', '1']))},"
         f"'shape':{draw(shape)}}}")
    text = draw(st.sampled_from([d, d[1:-1], deep, d + deep, d*99, d + '#'*9999])).encode()
    version = draw(st.integers(0, 4))
    kind = '<H' if version == 1 else '<I'
    size = draw(st.sampled_from([len(text)]*9 + extreme)) % 2**(16 if version == 1 else 32)
    return b'\x93NUMPY' + bytes([version, 0]) + struct.pack(kind, size) + text + draw(st.binary())

lossless = dict(png={}, bmp={}, gif={}, tiff={}, webp=dict(lossless=True), ppm={})
packed = [dict(compression=o) for o in ('tiff_lzw', 'tiff_adobe_deflate', 'packbits')]
kinds = [*lossless.items(), *(('tiff', o) for o in packed), ('jpeg', {}),
         ('jpeg', dict(progressive=True))]

several = 'gif', 'png', 'tiff', 'webp'   # which can have pages or frames

@st.composite
def image_files(draw):
    kind, options = draw(st.sampled_from(kinds))
    mode = draw(st.sampled_from(['L', 'RGB', '1', 'P', 'RGBA', 'CMYK', 'I;16', 'LA']))
    f = io.BytesIO()
    im = Image.linear_gradient('L').resize((draw(st.integers(1, 9)), draw(st.integers(1, 9))))
    if kind in several and draw(st.booleans()):
        more = [im.rotate(90*i).convert(mode) for i in range(draw(st.integers(1, 4)))]
        options = options | dict(save_all=True, append_images=more)
    if draw(st.booleans()):
        exif = Image.Exif(); exif[0x112] = draw(st.integers(0, 9))
        options = options | dict(exif=exif)
    try: im.convert(mode).save(f, kind, **options)
    except (OSError, RuntimeError, ValueError): assume(False)      # not every format has every mode
    return f.getvalue()

suffixes = st.sampled_from(['png', 'jpg', 'gif', 'bmp', 'webp', 'tif', 'pgm', 'ppm'])
image_lies = st.tuples(st.sampled_from([
    b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR', b'GIF89a', b'BM', b'II*\0\x08\0\0\0', b'MM\0*\0\0\0\x08',
    b'RIFF\xff\0\0\0WEBPVP8X', b'P6 ', b'P2 99999 99999 255 ', b'\xff\xd8\xff\xe1', b'%!PS-Adobe',
    b'8BPS', b'\0\0\1\0', b'\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1']),
    st.binary(max_size=99)).map(b''.join)


# --- written, then read --------------------------------------------------------------------------

@cases
@given(x=idx_arrays(), data=st.data())
def test_idx_round_trip(tmp_path, x, data):
    (tmp_path/'a').write_bytes(data.draw(zipped(idx_bytes(x))))
    y = read_idx(tmp_path/'a')
    assert y.dtype == torch.uint8 and tuple(y.shape) == x.shape and (y.numpy() == x).all()
    tried['idx', 'as written'] += 1

@cases
@given(rows=tables, sep=st.sampled_from([',', ';', '\t', ' ', ', ']),
       end=st.sampled_from(['\n', '\r\n', '\r', '\n\n']),
       bom=st.booleans(), names=st.none() | st.lists(column, min_size=4, max_size=4))
def test_csv_round_trip(tmp_path, rows, sep, end, bom, names):
    assume(any(r != rows[0] for r in rows))
    if names: names = names[:len(rows[0])]
    text = csv_text(rows, sep, names, end)
    (tmp_path/'a.csv').write_bytes(text.encode('utf-8-sig' if bom else 'utf-8'))
    data = csv(tmp_path/'a.csv', scale=None)
    if names and len({*names}) == len(names): assert [c.name for c in data.columns] == names
    back = data.items(data.x).to_numpy(float)
    assert len(data) == len(rows) and (back.astype('f4') == np.array(rows, 'f4')).all()
    tried['csv', 'as written'] += 1

@cases
@given(x=arrays(), data=st.data())
def test_npy_round_trip(tmp_path, x, data):
    assume(any((r != x[0]).any() for r in x))
    (tmp_path/'a.npy').write_bytes(data.draw(npy_bytes(x)))
    same = npy(tmp_path/'a.npy', scale=(0, 1))
    assert same.shape == x.shape[1:] and same.x.shape == (len(x), int(np.prod(x.shape[1:])))
    assert (same.x.numpy().reshape(x.shape) == x.astype('f4')).all()
    data = npy(tmp_path/'a.npy')
    if data.kind != 'image': assert data.x.mean().abs() < 1e-3
    else:
        assert data.x.min() >= 0 and data.x.max() <= 1
        assert x.dtype != 'u1' or x.max() <= 1 or data.span == (0, 255)
        assert np.allclose(data.unscale(data.x).numpy().reshape(x.shape), x.astype('f4'), atol=1e-4)
    tried['npy', 'as written'] += 1

@settings(cases, max_examples=many//3)
@given(h=st.integers(1, 6), w=st.integers(1, 6), n=st.integers(2, 4), colour=st.booleans(),
       kind=st.sampled_from(kinds[:-2]), suffix=suffixes, seed=st.integers(0, 99))
def test_images_round_trip(tmp_path_factory, h, w, n, colour, kind, suffix, seed):
    folder = tmp_path_factory.mktemp('images')
    x = np.random.default_rng(seed).integers(0, 256, (n, h, w, 3) if colour else (n, h, w), 'u1')
    assume((x != x[0]).any() and not (colour and kind[0] == 'gif'))         # which has 256 colours
    for i in range(n): Image.fromarray(x[i]).save(folder/f'{i}.{suffix}', kind[0], **kind[1])
    data = images(folder, gray=not colour)
    assert data.shape == x.shape[1:] and data.bounded
    assert (data.unscale(data.x).round().numpy().reshape(x.shape) == x).all()
    tried['images', 'as written'] += 1


# --- damaged and invented ------------------------------------------------------------------------

@cases
@given(content=hostile(idx_files, idx_lies))
def test_idx_hostile(tmp_path, content):
    (tmp_path/'a').write_bytes(content)
    y = outcome('idx', read_idx, tmp_path/'a', len(content))
    if y is None: return
    raw = gzip.decompress(content) if content[:2] == b'\x1f\x8b' else content
    assert raw == idx_bytes(y.numpy())         # nothing else may be accepted

@cases
@given(content=hostile(csv_files, csv_lies))
def test_csv_hostile(tmp_path, content):
    (tmp_path/'a.csv').write_bytes(content)
    data = outcome('csv', csv, tmp_path/'a.csv', len(content))
    assert data is None or data.x.isfinite().all()

@cases
@given(rows=tables, data=st.data(), word=st.sampled_from(
    ['', 'abc', 'nan', 'inf', '-Infinity', '1_0', '1e', '0x1', '--1', '1 2', '1e999']))
def test_csv_names_the_bad_cell(tmp_path, rows, data, word):
    assume(len(rows) > 3 and (len(rows[0]) > 1 or word not in ('', '1 2')))   # an empty line and two cells
    i, j = data.draw(st.integers(0, len(rows)-1)), data.draw(st.integers(0, len(rows[0])-1))
    cells = [[repr(c) for c in r] for r in rows]
    cells[i][j] = f'"{word}"'
    header = ','.join('abcd'[:len(rows[0])])
    (tmp_path/'a.csv').write_text('\n'.join([header] + [','.join(r) for r in cells]))
    with pytest.raises(ValueError) as e: csv(tmp_path/'a.csv')
    said, named = str(e.value), f"1 in {'abcd'[j]!r} are "
    assert any(f'{named}{o}' in said for o in ('missing', 'infinite', f'no numbers ({word!r} in row {i+1})')), said

@cases
@given(rows=tables, data=st.data())
def test_csv_ragged(tmp_path, rows, data):
    i = data.draw(st.integers(1, len(rows)-1))
    (tmp_path/'a.csv').write_text(csv_text([*rows[:i], rows[i] + [1.], *rows[i+1:]]))
    with pytest.raises(ValueError, match='more cells than|are missing'): csv(tmp_path/'a.csv')


@cases
@given(content=hostile(npy_files, npy_lies()))
def test_npy_hostile(tmp_path, content):
    (tmp_path/'a.npy').write_bytes(content)
    data = outcome('npy', npy, tmp_path/'a.npy', len(content))
    assert data is None or data.x.isfinite().all()

@cases
@given(x=arrays(), data=st.data(), more=st.binary(min_size=1))
def test_every_byte_is_needed_and_no_more(tmp_path, x, data, more):
    p = tmp_path/'a.npy'
    for reader, read, whole in (('npy', npy, data.draw(npy_bytes(x))),
                                ('idx', read_idx, gzip.compress(idx_bytes(x.astype('u1')))),
                                ('idx', read_idx, idx_bytes(x.astype('u1')))):
        for content in (whole[:data.draw(st.integers(1, len(whole)-1))], whole + b'x' + more):
            p.write_bytes(content)
            assert outcome(reader, read, p, len(content)) is None

@cases
@given(content=hostile(image_files(), image_lies), suffix=suffixes,
       size=st.sampled_from([None, 4, (3, 5)]),
       how=st.sampled_from([{}, dict(alpha=True), dict(skip_bad=True), dict(memory=50)]))
def test_images_hostile(tmp_path, content, suffix, size, how):
    for p in tmp_path.iterdir(): p.unlink()
    (tmp_path/f'a.{suffix}').write_bytes(content)
    Image.linear_gradient('L').resize((4, 4)).save(tmp_path/'b.png')
    data = outcome('images', lambda p: images(p.parent, size, **how), tmp_path/'b.png', 2**22)
    assert data is None or data.sample(2).isfinite().all() and data.bounded


# --- weights of a run ----------------------------------------------------------------------------

@pytest.fixture(scope='module')
def run(tmp_path_factory):
    d = tmp_path_factory.mktemp('weights')
    (d/'my.csv').write_text('1,2\n3,5\n4,9\n')
    gan_train(str(d/'my.csv'), steps=1, batch_size=2, out=str(d/'run'), device='cpu', quiet=True)
    return d/'run'

def draw_samples(path):
    gan, data, _ = load_run(path.parent)
    return data.unscale(gan.sample(3))

@st.composite
def other_weights(draw, whole):
    "A valid file with a tensor more, fewer, or of another kind"
    w = load(whole)
    k = draw(st.sampled_from(sorted(w)))
    x = w.pop(k)
    to = draw(st.sampled_from([torch.float64, torch.float16, torch.int8, torch.bool]))
    shape = draw(st.lists(st.integers(0, 9), max_size=4))
    new = draw(st.sampled_from([None, x.to(to), x*torch.nan, x[..., :-1], torch.zeros(shape)]))
    if new is not None: w[draw(st.sampled_from([k, 'another']))] = new.contiguous()
    return save(w)

@cases
@given(data=st.data())
def test_weights_hostile(run, data):
    p = run/'weights.safetensors'
    whole = p.read_bytes()
    start = 8 + struct.unpack('<Q', whole[:8])[0]          # where the header ends
    content = data.draw(damaged(st.just(whole[:start])).map(lambda o: o + whole[start:])
                        | damaged(st.just(whole)) | other_weights(whole))
    p.write_bytes(content)
    try: x = outcome('weights', draw_samples, p, len(whole))
    finally: p.write_bytes(whole)
    assert x is None or x.shape == (3, 2)


# --- no pickle -----------------------------------------------------------------------------------

def test_npy_objects_are_not_unpickled(tmp_path):
    class Trap:
        def __reduce__(self): return os.mkdir, (str(tmp_path/'ran'),)
    np.save(tmp_path/'a.npy', np.array([[Trap()], [Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match='holds Python objects'): npy(tmp_path/'a.npy')
    assert not (tmp_path/'ran').exists()

def test_nothing_of_the_package_could_unpickle():
    for p in (Path(__file__).parent.parent/'gan_nbdev').glob('*.py'):
        code = p.read_text(encoding='utf-8')
        assert not re.search(r'import pickle|(torch|np|numpy)\.load\(|allow_pickle=True', code), p


# --- what is no file, or not there ---------------------------------------------------------------

def special(folder, name):
    "Paths in `folder` that end in `name` and are not files to read"
    made = {o: folder/f'{o}{name}'
            for o in ('fifo', 'dir', 'zero', 'lost', 'loop', 'socket', 'empty', 'gone')}
    os.mkfifo(made['fifo']); made['dir'].mkdir(); made['empty'].touch()
    made['zero'].symlink_to('/dev/zero')
    made['lost'].symlink_to('nowhere'); made['loop'].symlink_to(made['loop'].name)
    with socket.socket(socket.AF_UNIX) as s: s.bind(os.path.relpath(made['socket']))
    return made.values()

@pytest.mark.parametrize('read, name', [
    (read_idx, '-ubyte'), (csv, '.csv'), (npy, '.npy'),
    (get_data, '-ubyte'), (get_data, '.csv'), (get_data, '.npy')])
def test_special_files(tmp_path, monkeypatch, read, name):
    monkeypatch.chdir(tmp_path)
    for p in special(tmp_path, name):
        if read is not get_data or not p.is_dir():         # which may be a folder of images
            assert outcome('special', read, p, 0) is None, p

def test_special_files_among_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    special(tmp_path, '.png')
    with pytest.raises(ValueError, match='empty.png is empty'): images(tmp_path)
    (tmp_path/'empty.png').unlink()
    with pytest.raises(ValueError, match='has no images'): images(tmp_path)
    for i in range(2): Image.new('L', (3, 3), i).save(tmp_path/f'{i}.png')
    (tmp_path/'inner.png').symlink_to('0.png')
    (tmp_path/'up').symlink_to('.')
    assert len(images(tmp_path)) == 3

@pytest.mark.parametrize('become', [Path.touch, Path.mkdir, os.mkfifo, lambda p: None])
def test_image_that_changes_while_training(tmp_path, become):
    for i in range(2): Image.new('L', (3, 3), i).save(tmp_path/f'{i}.png')
    data = ImageFiles(tmp_path)
    (tmp_path/'1.png').unlink(); become(tmp_path/'1.png')
    assert data[0].shape == (3, 3)
    assert outcome('images', lambda p: data[1], tmp_path/'1.png', 2**20) is None

def test_links_stay_in_the_folder(tmp_path):
    (tmp_path/'private').mkdir(); (tmp_path/'given').mkdir()
    Image.new('L', (3, 3)).save(tmp_path/'private/a.png')
    x = np.arange(2*28*28).reshape(2, 28, 28).astype('u1')
    (tmp_path/'private/train-images-idx3-ubyte').write_bytes(idx_bytes(x))
    (tmp_path/'given/raw').symlink_to('../private')
    with pytest.raises(ValueError, match='leads out of'): mnist(tmp_path/'given')
    (tmp_path/'given/raw').unlink()
    (tmp_path/'given/a.png').symlink_to('../private/a.png')
    with pytest.raises(ValueError, match='leads out of'): images(tmp_path/'given')


# --- bombs ---------------------------------------------------------------------------------------

def sparse(path, head, size=2**40):
    path.write_bytes(head); os.truncate(path, size)

def bombs(folder):
    "Small files, or large ones with nothing in them, that unfold to gigabytes or take hours"
    def image(name, content, at=''):
        (folder/(at or name)).mkdir(); (folder/(at or name)/f'a.{name}').write_bytes(content)
    def head(*shape): return bytes([0, 0, 8, len(shape)]) + struct.pack(f'>{len(shape)}I', *shape)
    zeros = gzip.compress(bytes(2**24))
    (folder/'gz-ubyte').write_bytes(gzip.compress(head(2**14, 2**10, 2**10)) + zeros*2**10)
    sparse(folder/'tail-ubyte', gzip.compress(head(2, 2, 2) + bytes(8)))
    sparse(folder/'plain-ubyte', head(2**20, 2**10, 2**10), 2**40 + 16)
    sparse(folder/'header.npy', b'\x93NUMPY\2\0' + b'\xf0\xff\xff\xff')
    f, shape = io.BytesIO(), (2**17, 2**20)
    np.lib.format.write_array_header_1_0(f, dict(descr='<f8', fortran_order=True, shape=shape))
    sparse(folder/'whole.npy', f.getvalue(), 2**40 + f.tell())
    (folder/'deep.npy').write_bytes(b'\x93NUMPY\1\0' + struct.pack('<H', 9000) + b'-'*8999 + b'1')
    sparse(folder/'line.csv', b'1,2\n')
    (folder/'wide.csv').write_bytes(b'1,2\n' + b'1,'*2**24)
    (folder/'columns.csv').write_bytes(b'1,'*(2**21-2) + b'1\n2\n')
    (folder/'quotes.csv').write_bytes(b'"1\n",'*2**22)
    many = b'1,2\n'*2**22
    (folder/'many.csv.gz').write_bytes(gzip.compress(many)*2**3)
    with zipfile.ZipFile(folder/'many.csv.zip', 'w', zipfile.ZIP_DEFLATED) as z:
        with z.open('a.csv', 'w') as f:
            for _ in range(2**3): f.write(many)
    with zipfile.ZipFile(folder/'a.xlsx', 'w', zipfile.ZIP_DEFLATED) as z:
        with z.open('xl/worksheets/sheet1.xml', 'w') as f:
            for _ in range(2**5): f.write(bytes(2**22))
    import pyarrow as pa, pyarrow.parquet as parquet
    parquet.write_table(pa.table({'a': pa.array(np.zeros(2**22))}), folder/'a.parquet')
    webp = b'WEBPVP8L' + struct.pack('<IBI', 99, 0x2f, 2**28-1) + bytes(99)
    image('webp', b'RIFF' + struct.pack('<I', len(webp)) + webp)
    large = b'\xff'*4
    image('gif', b'GIF89a' + large + bytes(3) + b',' + bytes(4) + large + b'\0\2' + bytes(9))
    image('ppm', b'P6 60000 60000 255\n' + bytes(99))
    image('bmp', b'BM' + struct.pack('<3I', 99, 0, 54) +
          struct.pack('<IiiHHIIiiII', 40, 2**30, 2**30, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99))
    (folder/'sparse').mkdir(); sparse(folder/'sparse/a.webp', b'RIFF\xff\xff\xff\xffWEBPVP8 ')
    f = io.BytesIO(); Image.new('L', (8000, 8000)).save(f, 'jpeg', progressive=True)
    raw = f.getvalue()
    image('jpg', raw[:-2] + raw[raw.rindex(b'\xff\xda'):-2]*20_000 + raw[-2:])
    frames(image)

def frames(image):
    "Files that have, or say that they have, too many frames, or a second page that is too large"
    frame = b',' + bytes(4) + b'\1\0\1\0\0' + b'\2\2\x44\1\0'
    image('gif', b'GIF89a\1\0\1\0' + b'\x80\0\0' + bytes(6) + frame*100_000 + b';', 'many')
    f = io.BytesIO()
    Image.new('L', (4, 4)).save(f, 'png', save_all=True, append_images=[Image.new('L', (4, 4), 9)])
    raw, at = f.getvalue(), f.getvalue().index(b'acTL')
    body = b'acTL' + struct.pack('>2I', 2**31, 0)
    image('png', raw[:at] + body + struct.pack('>I', zlib.crc32(body)) + raw[at+16:], 'says')
    entry = lambda w, h: struct.pack('<H', 8) + b''.join(struct.pack('<HHII', k, 4, 1, v) for k, v in (
        (256, w), (257, h), (258, 8), (259, 1), (262, 1), (273, 8), (278, h), (279, w*h)))
    size = len(entry(1, 1)) + 4
    def tiff(*pages):
        return b'II*\0\x08\0\0\0' + b''.join(entry(*o) + struct.pack('<I', 8 + (i + 1)*size*(i + 1 < len(pages)))
                                            for i, o in enumerate(pages))
    image('tif', tiff(*[(1, 1)]*12_000), 'chain')
    image('tif', tiff((1, 1), (60_000, 60_000)), 'second')

defuse = """
    import resource, sys
    from pathlib import Path
    from gan_nbdev.datasets.files import get_data
    def peak():
        status = Path('/proc/self/status').read_text()
        return int(status.split('VmHWM:')[1].split()[0])//2**10
    here = int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + 2**30,)*2)
    for p in sorted(Path(sys.argv[1]).iterdir()):
        Path('/proc/self/clear_refs').write_text('5')   # the peak so far is forgotten
        before = peak()
        try: print('ACCEPTED', p, get_data(p))
        except ValueError as e: print(f'{peak()-before:6} MiB', e)
        assert peak() - before < 400
"""

@pytest.mark.skipif(sys.platform != 'linux', reason='needs sparse files and a limit on memory')
def test_bombs(tmp_path):
    bombs(tmp_path)
    r = subprocess.run([sys.executable, '-c', textwrap.dedent(defuse), tmp_path],
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0 and not r.stderr, r.stdout + r.stderr
    assert 'ACCEPTED' not in r.stdout and 'Unable to allocate' not in r.stdout, r.stdout
    assert len(r.stdout.splitlines()) == len(list(tmp_path.iterdir()))
    global worst
    worst = max((int(mib), Path(said.partition(': ')[0].split()[0]).name) for mib, said in re.findall(r'^ *(-?\d+) MiB (.*)$', r.stdout, flags=re.M))


# --- from the command line -----------------------------------------------------------------------

def test_commands_end_in_one_line(tmp_path, run):
    (tmp_path/'a.csv').write_bytes(b'a\x1b[2J,b\n1,\x1b[31m\n')
    (tmp_path/'b.npy').write_bytes(b'\x93NUMPY\x01\x00\x76\x00' + b'('*118)
    (tmp_path/'c-ubyte').write_bytes(b'\0\0\x08\x08' + b'\xff'*32)
    os.mkfifo(tmp_path/'d.csv')
    (tmp_path/'e').mkdir(); (tmp_path/'e/a.png').symlink_to('/etc/passwd')
    (tmp_path/'f').mkdir(); (tmp_path/'f/a.tif').write_bytes(b'II*\0\x08\0\0\0\xff\xff')
    commands = [['gan-train', o, '--out', f'out-{o}']
                for o in ('a.csv', 'b.npy', 'c-ubyte', 'd.csv', 'e', 'f')]
    whole = (run/'weights.safetensors').read_bytes()
    (run/'weights.safetensors').write_bytes(whole[:-1])
    commands += [['gan-sample', run, '--out', 'x.npy'], ['gan-eval', run]]
    before = sorted(tmp_path.rglob('*'))
    for c in commands:
        r = command(*c, cwd=tmp_path)
        assert r.returncode == 2 and r.stdout == '', (c, r)
        line = r.stderr.removesuffix('\n')
        assert line.startswith(f'{c[0]}: error: ') and line.isprintable(), (c, r.stderr)
        tried['command', 'refused'] += 1
    (run/'weights.safetensors').write_bytes(whole)
    assert sorted(tmp_path.rglob('*')) == before
