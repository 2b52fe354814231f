"Images as people have them: turned, transparent, in pages, of 16 bits, damaged, in classes."
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, ImageSequence, PngImagePlugin
from torch.utils.data import DataLoader

from gan_nbdev.datasets import images as module
from gan_nbdev.datasets.files import get_data
from gan_nbdev.datasets.images import ImageFiles, images
from gan_nbdev.datasets.samples import Samples
from gan_nbdev.datasets.streams import Stream
from gan_nbdev.experiments import experiment

shared = Path(__file__).parents[2]/'shared/cases/images'
rng = np.random.default_rng(0)

def noise(*shape): return rng.integers(0, 256, shape, 'u1')

def put(folder, name, image, **how):
    path = folder/name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(image, Image.Image): image = Image.fromarray(image)
    image.save(path, **how)
    return path

def pixels(data): return data.unscale(data.x).round().reshape(-1, *data.shape).numpy()
def arrays(folder, **how): return [x.numpy() for x in ImageFiles(folder, **how)]


# --- the cases that failed -------------------------------------------------------------------------

def seen_on(colour, im):
    "What a viewer shows, calculated in another way"
    rgba = np.asarray(im.convert('RGBA')).astype(float)
    a = rgba[..., 3:]/255
    return rgba[..., :3]*a + np.array(colour)*(1 - a)

def transparent(folder):
    for i in range(6):
        x = noise(16, 16, 4)
        x[..., :3], x[..., 3] = 0, 255*(x[..., 3] > 128)
        put(folder, f'{i}.png', x)

def gray_alpha(folder):
    for i in range(6): put(folder, f'{i}.png', Image.fromarray(np.dstack([0*noise(16, 16), noise(16, 16)]), 'LA'))

def exif(folder, ways, h=12):
    for i, way in enumerate(ways):
        tags = Image.Exif(); tags[0x112] = way
        put(folder, f'{i}.jpg', np.linspace(10*i, 200 + 10*i, h*16).astype('u1').reshape(h, 16), exif=tags, quality=95)

def multipage(folder):
    for i in range(2):
        pages = [Image.fromarray(noise(16, 16)) for _ in range(6)]
        put(folder, f'{i}.tif', pages[0], save_all=True, append_images=pages[1:])

def jfif(folder):
    for i in range(6): put(folder, f'{i}.jfif', noise(16, 16, 3), format='jpeg')
    for i in range(3): put(folder, f'p{i}.png', noise(16, 16, 3))

def one_corrupt(folder):
    for i in range(6): put(folder, f'{i}.png', noise(16, 16, 3))
    cut(folder/'3.png')

def cut(path):
    raw = path.read_bytes()
    path.write_bytes(raw[:len(raw)//2])

def gray16(folder):
    for i in range(6): put(folder, f'{i}.png', rng.integers(0, 65_536, (16, 16)).astype('u2'))

def class_folders(folder):
    for o in ('cats', 'dogs'):
        for i in range(6): put(folder, f'{o}/{i}.png', noise(16, 16, 3))

def labels_beside(folder):
    for i in range(6): put(folder, f'{i}.png', noise(16, 16, 3))
    (folder/'labels.csv').write_text('file,label\n0.png,1\n')

made = dict(transparent_black_on_white=transparent, gray_alpha=gray_alpha, exif_180=lambda d: exif(d, [3]*6, 16),
            exif_rotated=lambda d: exif(d, [1, 3, 6, 8, 2, 5]), multipage_tiff=multipage, jfif_beside_png=jfif,
            one_corrupt=one_corrupt, gray16_png=gray16, class_folders=class_folders,
            labels_csv_beside=labels_beside)

@pytest.fixture(params=['made', 'shared'])
def case(request, tmp_path):
    "The folder of a case, made here or, where there are such, as it was given"
    def folder(name):
        if request.param == 'made': made[name](tmp_path/name); return tmp_path/name
        if not (shared/name).is_dir(): pytest.skip('the folder of cases is not here')
        return shared/name
    return folder

def test_case_transparent(case):
    folder = case('transparent_black_on_white')
    data = images(folder)
    want = [seen_on((255, 255, 255), Image.open(p)) for p in sorted(folder.iterdir())]
    assert data.shape == (16, 16, 3) and abs(pixels(data) - want).max() <= 1
    assert 'with alpha: 6 of 6, laid on white' in data.notes[0] and data.notes[0] in repr(data)
    green = pixels(images(folder, ground='#007f00'))
    assert abs(green - [seen_on((0, 127, 0), Image.open(p)) for p in sorted(folder.iterdir())]).max() <= 1
    four = images(folder, alpha=True)
    assert four.shape == (16, 16, 4) and 'fourth channel' in four.notes[0]
    assert (pixels(four)[..., 3] == [np.asarray(Image.open(p))[..., 3] for p in sorted(folder.iterdir())]).all()

def test_case_gray_alpha(case):
    folder = case('gray_alpha')
    data = images(folder)
    want = np.stack([seen_on((255,)*3, Image.open(p))[..., 0] for p in sorted(folder.iterdir())])
    assert data.shape == (16, 16) and abs(pixels(data) - want).max() <= 1
    assert images(folder, ground='#0000ff').shape == (16, 16, 3)       # which gray could not show

@pytest.mark.parametrize('name', ['exif_180', 'exif_rotated'])
def test_case_exif(case, name):
    folder = case(name)
    found = [np.asarray(ImageOps.exif_transpose(Image.open(p))) for p in sorted(folder.iterdir())]
    if name == 'exif_180': assert (pixels(images(folder)) == found).all()
    else:
        with pytest.raises(ValueError, match=r'give the size to scale them to \(3 of 6 are 12×16\)'): images(folder)
        assert [o.size for o in ImageFiles(folder, size=9).pages] == [o.shape for o in found]
        assert images(folder, size=(12, 12)).shape == (12, 12)

def test_case_pages(case):
    folder = case('multipage_tiff')
    data = images(folder)
    assert len(data) == 12 and '12 images are the pages or frames of 2 files' in data.notes
    want = [np.asarray(page) for p in sorted(folder.iterdir()) for page in ImageSequence.Iterator(Image.open(p))]
    assert (pixels(data) == want).all()

def test_case_jfif(case):
    data = images(case('jfif_beside_png'))
    assert len(data) == 9 and data.notes == ()

def test_case_corrupt(case):
    folder = case('one_corrupt')
    for how in ({}, dict(memory=2000)):
        with pytest.raises(ValueError, match=r'3\.png is not a readable image: .*; skip_bad leaves'): images(folder, **how)
        data = images(folder, skip_bad=True, **how)
        assert len(data) == 5 and data.notes == ('left out as unreadable: 1 file (3.png)',)

def test_case_gray16(case):
    folder = case('gray16_png')
    want = [np.asarray(Image.open(p)).astype('i4') for p in sorted(folder.iterdir())]
    data = images(folder)
    assert data.bounded and abs(pixels(data) - want).max() <= 1e-2
    assert (np.stack(arrays(folder)) == want).all()

def test_case_classes(case):
    folder = case('class_folders')
    plain, told = images(folder), images(folder, label='folder')
    assert "the subfolders cats, dogs look like classes: give label='folder'" in plain.notes[0]
    assert plain.classes is None and plain.class_names is None
    assert told.class_names == ('cats', 'dogs') and told.labels.tolist() == [0]*6 + [1]*6 and told.classes == 2

def test_case_labels_beside(case):
    folder = case('labels_csv_beside')
    assert images(folder).notes == ("left out: 1 .csv (classes, if they are in it, with label='labels.csv')",)
    with pytest.raises(ValueError, match='labels.csv.* 5 of 6 images have no row'): images(folder, label='labels.csv')


# --- upright ---------------------------------------------------------------------------------------

ways = Image.Transpose
lie = {1: None, 2: ways.FLIP_LEFT_RIGHT, 3: ways.ROTATE_180, 4: ways.FLIP_TOP_BOTTOM, 5: ways.TRANSPOSE,
       6: ways.ROTATE_90, 7: ways.TRANSVERSE, 8: ways.ROTATE_270}
kinds = {'a.jpg': dict(quality=100), 'a.png': {}, 'raw.tif': {}, 'lzw.tif': dict(compression='tiff_lzw'),
         'zip.tif': dict(compression='tiff_adobe_deflate'), 'a.webp': dict(lossless=True)}
scene = np.kron(np.array([[250, 20, 20], [90, 20, 160]], 'u1'), np.ones((8, 8), 'u1'))

def lying(way):
    tags, im = Image.Exif(), Image.fromarray(scene)
    tags[0x112] = way
    return im if lie[way] is None else im.transpose(lie[way]), tags

@pytest.mark.parametrize('name', kinds)
def test_all_orientations(tmp_path, name):
    "Also together: the sizes are those of the turned images"
    for way in lie:
        im, tags = lying(way)
        put(tmp_path, f'{way}{name}', im, exif=tags, **kinds[name])
    files = ImageFiles(tmp_path, gray=True)
    assert {o.size for o in files.pages} == {(16, 24)} and len(files) == 8
    for x in files: assert abs(x.numpy().astype(int) - scene).max() <= 3*('jpg' in name)

def chunk(kind, body): return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))

@pytest.mark.parametrize('name', ['after', 'xmp', 'other'])
def test_orientation_of_png(tmp_path, name):
    "Behind the pixels, or in XMP; the word alone turns nothing"
    im, tags = lying(6)
    xmp = '<rdf:Description tiff:Orientation="6"/>'
    if name == 'xmp':
        info = PngImagePlugin.PngInfo()
        info.add_itxt('XML:com.adobe.xmp', xmp)
        put(tmp_path, 'a.png', im, pnginfo=info)
    else:
        raw = put(tmp_path, 'a.png', im).read_bytes()
        more = chunk(b'eXIf', tags.tobytes()[6:]) if name == 'after' else chunk(b'tEXt', b'Comment\0eXIf')
        (tmp_path/'a.png').write_bytes(raw[:-12] + more + raw[-12:])
    files = ImageFiles(tmp_path)
    want = np.asarray(im) if name == 'other' else scene
    assert files.shape == want.shape and (files[0].numpy() == want).all()

def test_turned_pages(tmp_path):
    (first, _), (second, tags) = lying(1), lying(6)
    second.encoderinfo = dict(exif=tags)
    put(tmp_path, 'a.tif', first, save_all=True, append_images=[second])
    for x in arrays(tmp_path): assert (x == scene).all()


# --- pages and frames ------------------------------------------------------------------------------

@pytest.mark.parametrize('name', ['a.tif', 'b.tif', 'a.gif', 'a.webp', 'a.png', 'a.apng'])
def test_frames(tmp_path, name):
    "A dot that moves over a ground: what changes is stored, the whole frame is read"
    frames = []
    for i in range(5):
        x = np.full((9, 9, 3), 40, 'u1')
        x[i:i + 3, 2*i:2*i + 2] = (250, 10*i, 0)
        frames.append(Image.fromarray(x))
    how = {'a.webp': dict(lossless=True), 'b.tif': dict(compression='tiff_lzw'), 'a.apng': dict(format='png')}
    put(tmp_path, name, frames[0], save_all=True, append_images=frames[1:], **how.get(name, {}))
    found = np.stack(arrays(tmp_path))
    assert found.shape == (5, 9, 9, 3) and abs(found.astype(int) - [np.asarray(o) for o in frames]).max() <= 1
    for how in ({}, dict(memory=1000)):
        data = images(tmp_path, **how)
        assert len(data) == 5 and data.notes[0] == '5 images are the pages or frames of 1 file'
    files = ImageFiles(tmp_path)
    assert (files[3].numpy() == found[3]).all() and (files[1].numpy() == found[1]).all()    # in any order

def test_transparent_frames(tmp_path):
    frames = []
    for i in range(3):
        x = np.zeros((6, 6, 4), 'u1')
        x[i] = (200, 0, 0, 255)
        frames.append(Image.fromarray(x))
    put(tmp_path, 'a.gif', frames[0], save_all=True, append_images=frames[1:], disposal=2)
    for i, x in enumerate(arrays(tmp_path, ground='blue')):
        assert (x[i] == (200, 0, 0)).all() and (np.delete(x, i, 0) == (0, 0, 255)).all()

def test_what_is_no_page(tmp_path):
    views = [Image.fromarray(noise(8, 8, 3)) for _ in range(3)]
    put(tmp_path, 'eyes.jpg', views[0], format='mpo', save_all=True, append_images=views[1:])
    put(tmp_path, 'play.png', views[0], save_all=True, append_images=views[1:], default_image=True)
    small = Image.fromarray(noise(4, 4, 3))
    small.encoderinfo = dict(tiffinfo={254: 1})
    put(tmp_path, 'scan.tif', views[0], save_all=True, append_images=[small])
    files = ImageFiles(tmp_path)
    assert [(o.path.name, o.number) for o in files.pages] == [
        ('eyes.jpg', 0), ('play.png', 1), ('play.png', 2), ('scan.tif', 0)]
    assert files.notes[-1] == 'left out inside of files, thumbnails or further views: 4'
    assert (files[1].numpy() == np.asarray(views[1])).all()

@pytest.mark.parametrize('name', ['a.gif', 'a.tif', 'a.webp', 'a.png'])
def test_too_many_pages(tmp_path, name, monkeypatch):
    frames = [Image.fromarray(np.full((20, 20), 40*i, 'u1')) for i in range(6)]
    put(tmp_path, name, frames[0], save_all=True, append_images=frames[1:])
    assert len(images(tmp_path)) == 6
    monkeypatch.setattr(module, '_most_pages', 5)
    with pytest.raises(ValueError, match='more than 5 pages'): images(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(module, '_most_pixels', 2300)
    with pytest.raises(ValueError, match='pages have more than 2,300 pixels'): images(tmp_path)

def test_a_later_page_may_not_be_larger(tmp_path, monkeypatch):
    put(tmp_path, 'a.tif', noise(4, 4), save_all=True, append_images=[Image.fromarray(noise(50, 50))])
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 2000)
    with pytest.raises(ValueError, match='more than 2,000 pixels'): ImageFiles(tmp_path, size=4)


# --- transparency ----------------------------------------------------------------------------------

def see_through():
    "Images of two halves: black that is seen, and another colour that is not"
    rgba = np.zeros((4, 6, 4), 'u1')
    rgba[:, :3, 3], rgba[:, 3:, :3] = 255, 90
    la = Image.fromarray(rgba).convert('LA')
    p = Image.fromarray((rgba[..., 0] > 0).astype('u1'), 'P')
    p.putpalette([0, 0, 0, 90, 90, 90])
    gray = Image.fromarray(rgba[..., 0])
    return {'RGBA': (Image.fromarray(rgba), {}), 'LA': (la, {}), 'P': (p, dict(transparency=1)),
            'alphas': (p, dict(transparency=b'\xff\0')), 'RGB': (gray.convert('RGB'), dict(transparency=(90, 90, 90))),
            'L': (gray, dict(transparency=90)), '1': (gray.point(lambda v: 255*(v > 0), '1'), dict(transparency=1))}

@pytest.mark.parametrize('mode', see_through())
def test_transparent_in_every_way(tmp_path, mode):
    im, how = see_through()[mode]
    put(tmp_path, 'a.png', im, **how)
    for ground, want in (('white', 255), ('black', 0), ('#808080', 128)):
        x = arrays(tmp_path, ground=ground)[0]
        assert (x[:, :3] == 0).all() and (x[:, 3:] == want).all()
    assert ImageFiles(tmp_path).gray == (mode in ('LA', 'L', '1'))
    x = arrays(tmp_path, alpha=True, ground='#102030')[0]
    assert (x[:, :3] == (0, 0, 0, 255)).all() and (x[:, 3:] == (16, 32, 48, 0)).all()
    assert arrays(tmp_path, gray=True)[0].shape == (4, 6)

def test_palette_with_alpha(tmp_path):
    "Which Pillow can hold, but writes in no format that is read here"
    put(tmp_path, 'a.png', noise(4, 6, 3))
    pa = see_through()['RGBA'][0].convert('PA')
    x = ImageFiles(tmp_path)._pixels(pa)
    assert (x[:, :3] == 0).all() and (x[:, 3:] == 255).all()

def test_scaled_edges_have_no_hidden_colour(tmp_path):
    x = np.zeros((8, 8, 4), 'u1')
    x[:, 4:] = (255, 255, 255, 255)                               # white beside hidden black
    put(tmp_path, 'a.png', x)
    assert (arrays(tmp_path, size=3)[0] == 255).all()
    four = arrays(tmp_path, size=3, alpha=True)[0]
    assert (four[..., :3] == 255).all() and len(np.unique(four[..., 3])) > 1

def test_opaque_with_alpha(tmp_path):
    put(tmp_path, 'a.png', noise(4, 4)); put(tmp_path, 'b.png', noise(4, 4, 3))
    files = ImageFiles(tmp_path, alpha=True)
    assert files.shape == (4, 4, 4) and all((x[..., 3] == 255).all() for x in files)

@pytest.mark.parametrize('how, message', [
    (dict(ground='whyte'), 'ground must be a colour'), (dict(ground='#fff80'), 'ground must be'),
    (dict(ground=(0, 0, 0)), 'ground must be'), (dict(gray=True, alpha=True), 'gray=True leaves no room'),
    (dict(label=3), 'label must be'), (dict(label=''), 'label must be'), (dict(size=0), 'size must be'),
    (dict(memory=0), 'memory must be')])
def test_options_are_refused_first(how, message):
    with pytest.raises(ValueError, match=message) as e: images('no/such/folder', **how)
    assert '\n' not in str(e.value)


# --- sixteen bits ----------------------------------------------------------------------------------

@pytest.mark.parametrize('name, dtype', [('a.png', 'u2'), ('a.tif', '<u2'), ('a.tif', '>u2'), ('a.pgm', 'u2'), ('a.tif', 'i4')])
def test_sixteen_bits(tmp_path, name, dtype):
    x = rng.integers(0, 65_536, (3, 5, 7))
    x[0, 0, :2] = 0, 65_535
    for i in range(3): put(tmp_path, f'{i}{name}', x[i].astype(dtype))
    files = ImageFiles(tmp_path)
    assert files[0].dtype == torch.uint16 and (np.stack([o.numpy() for o in files]) == x).all()
    for how in ({}, dict(memory=50)):
        data = images(tmp_path, **how)
        assert data.bounded and data.notes == ('read with 16 bits',)
        batch = data.source(3, torch.Generator().manual_seed(0)).next()
        assert 0 <= batch.min() and batch.max() <= 1
        assert data.unscale(torch.ones(1, 35)).unique().tolist() == [65_535]

def test_eight_and_sixteen_bits(tmp_path):
    put(tmp_path, 'a.png', np.full((4, 4), 1000, 'u2')); put(tmp_path, 'b.png', np.full((4, 4), 255, 'u1'))
    data = images(tmp_path)
    assert [x.item() for x in pixels(data)[:, 0, 0]] == [1000, 65_535]
    assert data.notes == ('read with 16 bits; multiplied by 257, because they have 8: 1 of 2',)
    put(tmp_path, 'c.png', np.full((4, 4, 3), (0, 128, 255), 'u1'))
    x = arrays(tmp_path)
    assert x[0][0, 0].tolist() == [1000]*3 and x[2][0, 0].tolist() == [0, 128*257, 65_535]
    assert arrays(tmp_path, alpha=True)[0][0, 0].tolist() == [1000, 1000, 1000, 65_535]
    assert arrays(tmp_path, size=2, gray=True)[1].tolist() == [[65_535]*2]*2

def test_colours_of_sixteen_bits_are_told_of(tmp_path):
    rows = b''.join(b'\0' + struct.pack('>3H', 65_535, 256, 0)*2 for _ in range(2))
    raw = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>2I5B', 2, 2, 16, 2, 0, 0, 0))
    (tmp_path/'a.png').write_bytes(raw + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
    files = ImageFiles(tmp_path)
    assert files[0][0, 0].tolist() == [255, 1, 0]
    assert files.notes == ('of 16 bits in colour, read with 8: 1 of 1',)

@pytest.mark.parametrize('x, message', [(np.ones((4, 4), 'f4'), 'floats of 32 bits'), (np.full((4, 4), 70_000, 'i4'), '70,000'),
                                        (np.full((4, 4), -1, 'i4'), 'from -1 to -1')])
def test_other_depths_are_refused(tmp_path, x, message):
    put(tmp_path, 'a.tif', x)
    with pytest.raises(ValueError, match=message): images(tmp_path)


# --- what is left out ------------------------------------------------------------------------------

def test_hidden_files_and_other_suffixes(tmp_path):
    for i in range(3): put(tmp_path, f'{i}.jpg', np.full((4, 5, 3), (i, 2*i, 255), 'u1'))
    for o in ('._0.jpg', '.cache/a.png', 'notes.txt', 'a.csv', 'b.TXT', 'LICENSE', 'in/c.csv', 'x.\x1b[2J'):
        (tmp_path/o).parent.mkdir(exist_ok=True)
        (tmp_path/o).write_bytes(b'no image')
    data = images(tmp_path)
    assert len(data) == 3 and data.notes == (r'left out: 1 without a suffix, 1 .\x1b[2j, 2 .csv, 2 .txt',)
    assert repr(data).splitlines()[1].strip() == data.notes[0] and repr(ImageFiles(tmp_path)).endswith(data.notes[0])
    stream = images(tmp_path, memory=100)
    assert isinstance(stream, Stream) and stream.bounded and stream.notes == data.notes
    x = stream.source(3, torch.Generator().manual_seed(0), 'cpu').next()
    assert x.shape == (3, 60) and 0 <= x.min() and x.max() <= 1

@pytest.mark.parametrize('suffix, kind', [('jfif', 'jpeg'), ('jpe', 'jpeg'), ('pbm', 'ppm'), ('pnm', 'ppm'), ('apng', 'png'),
                                          ('JPG', 'jpeg'), ('tiff', 'tiff')])
def test_suffixes(tmp_path, suffix, kind):
    for i in range(2): put(tmp_path, f'{i}.{suffix}', Image.fromarray(255*(noise(4, 4) // 128)).convert('1'), format=kind)
    assert len(images(tmp_path)) == 2


# --- damaged files ---------------------------------------------------------------------------------

@pytest.mark.parametrize('harm', [cut, lambda p: p.write_bytes(b'not an image'), lambda p: p.write_bytes(b''),
                                  lambda p: p.write_bytes(p.read_bytes()[:200])])
@pytest.mark.parametrize('memory', [2**20, 1000])
def test_damaged(tmp_path, harm, memory):
    for i in range(6): put(tmp_path, f'{i}.png', noise(16, 16, 3))
    for i in (1, 4): harm(tmp_path/f'{i}.png')
    with pytest.raises(ValueError, match=r'1\.png .*; skip_bad leaves such files out'): images(tmp_path, memory=memory)
    data = images(tmp_path, skip_bad=True, memory=memory)
    assert len(data) == 4 and data.notes == ('left out as unreadable: 2 files (1.png, 4.png)',)
    want = [np.asarray(Image.open(tmp_path/f'{i}.png')) for i in (0, 2, 3, 5)]
    if memory == 1000: assert (np.stack([data.dataset[i].numpy() for i in range(4)]) == want).all()
    else: assert (pixels(data) == want).all()
    assert data.source(4, torch.Generator().manual_seed(0)).next().shape == (4, 768)

def test_nothing_but_damaged(tmp_path):
    for name in ('a.png', 'b.png'): cut(put(tmp_path, name, noise(40, 40)))
    with pytest.raises(ValueError, match='no image that can be read, of 2'): images(tmp_path, skip_bad=True)
    for name in ('a.png', 'b.png'): (tmp_path/name).write_bytes(b'x')
    with pytest.raises(ValueError, match='no image that can be read, of 2'): images(tmp_path, skip_bad=True)

def test_damaged_later_is_named(tmp_path):
    for i in range(4): put(tmp_path, f'{i}.png', noise(16, 16))
    data = images(tmp_path, memory=100)
    cut(tmp_path/'2.png')
    with pytest.raises(ValueError, match=r'2\.png is not a readable image'):
        data.source(4, torch.Generator().manual_seed(0)).next()

def test_a_link_out_of_the_folder_is_no_damage(tmp_path):
    put(tmp_path, 'a/0.png', noise(4, 4)); put(tmp_path, 'b/0.png', noise(4, 4))
    (tmp_path/'b/1.png').symlink_to('../a/0.png')
    with pytest.raises(ValueError, match='leads out of'): images(tmp_path/'b', skip_bad=True)


# --- classes ---------------------------------------------------------------------------------------

def classes(folder, *names, n=2):
    for k, o in enumerate(names):
        for i in range(n): put(folder, f'{o}/in/{i}.png', np.full((2, 2), 10*k + i, 'u1'))

@pytest.mark.parametrize('memory', [2**20, 10])
def test_folders_as_classes(tmp_path, memory):
    classes(tmp_path, 'b', 'c', 'a')
    data = images(tmp_path, label='folder', memory=memory)
    assert type(data) == (Stream if memory == 10 else Samples)
    assert (data.classes, data.class_names, data.notes) == (3, ('a', 'b', 'c'), ('3 classes: a, b, c',))
    x, y = data.labelled.source(6, torch.Generator().manual_seed(0)).next().split([4, 1], 1)
    of_value = {2: 0, 0: 1, 1: 2}
    assert [of_value[round(o.item()*255)//10] for o in x[:, 0]] == y.flatten().tolist()
    assert data.sample(5).shape == (5, 4)                                 # without labels where none are asked for

def test_numbers_as_classes(tmp_path):
    classes(tmp_path, *map(str, range(12)), n=1)
    assert images(tmp_path, label='folder').class_names == tuple(map(str, range(12)))

def test_folders_that_are_no_classes(tmp_path):
    classes(tmp_path, 'a')
    assert images(tmp_path).notes == ()
    with pytest.raises(ValueError, match='two classes or more, not a alone'): images(tmp_path, label='folder')
    classes(tmp_path, 'b')
    put(tmp_path, 'c.png', noise(2, 2))
    assert images(tmp_path).notes == ()
    with pytest.raises(ValueError, match=r'1 of 5 are in none \(c.png\)'): images(tmp_path, label='folder')

@pytest.mark.parametrize('memory', [2**20, 10])
def test_a_class_that_cannot_be_read(tmp_path, memory):
    classes(tmp_path, 'a', 'b', 'c')
    for i in range(2): (tmp_path/f'a/in/{i}.png').write_bytes(b'x')
    cut(put(tmp_path, 'b/in/2.png', noise(2, 2)))
    data = images(tmp_path, label='folder', skip_bad=True, memory=memory)
    assert data.class_names == ('b', 'c') and len(data) == 4
    if memory > 10: assert data.labels.tolist() == [0, 0, 1, 1]
    else: assert [data.dataset[i][1] for i in range(4)] == [0, 0, 1, 1]

tables = ['file,class\n0.png,x\n1.png,y\nin/2.png,x\n', '0,x\n1,y\n2,x\n', 'id;breed\n0;x\n1;y\n2;x\n', '\ufeff2.png\tx\n1.png\ty\n0\tx',
          'path,class,more\r\nin\\2.png,x,1\r\n1.png,y,2\r\n\r\n0.png, x,3\r\n', '"0.png","x"\n"1.png","y"\n"2.png","x"\n']

@pytest.mark.parametrize('text', tables)
def test_table_of_classes(tmp_path, text):
    for o in ('0', '1', 'in/2'): put(tmp_path, f'{o}.png', noise(2, 2))
    (tmp_path/'my labels.csv').write_text(text, encoding='utf-8', newline='')
    data = images(tmp_path, label='my labels.csv')
    assert (data.class_names, data.labels.tolist()) == (('x', 'y'), [0, 1, 0])
    assert data.notes == ('2 classes: x, y',)

@pytest.mark.parametrize('text, message', [
    ('0,x\n1,y\n', '0 of 2 rows name no image.* 1 of 3 images have no row .2.png.'), ('0,x\n1,y\n2,x\n3,x\n', '1 of 4 rows'),
    ('0,x\n1,y\n2,\n', '1 of 3 rows'), ('0,x\n1,y\n2,x\n0,y\n', 'gives 0 two classes'), ('0\n1\n', 'is not a table'),
    ('0,x\n1,x\n2,x\n', 'two classes or more'), ('', 'is empty'), ('0,"x\n1,y\n2,x\n', 'is not a table'), ('\0\0', 'is not a table|rows')])
def test_table_that_does_not_fit(tmp_path, text, message):
    for i in range(3): put(tmp_path, f'{i}.png', noise(2, 2))
    (tmp_path/'a.csv').write_text(text)
    with pytest.raises(ValueError, match=message) as e: images(tmp_path, label='a.csv')
    assert '\n' not in str(e.value)

def test_tables_that_are_not_read(tmp_path):
    for o in ('a/0.png', 'a/1.png'): put(tmp_path, o, noise(2, 2))
    (tmp_path/'b.csv').write_text('0,x\n1,y\n')
    (tmp_path/'a/c.json').write_text('{}')
    (tmp_path/'a/d.csv').symlink_to('../b.csv')
    for label, message in (('../b.csv', 'leads out'), ('d.csv', 'leads out'), ('c.json', 'must end in .csv'), ('0.png', 'must end in')):
        with pytest.raises(ValueError, match=message): images(tmp_path/'a', label=label)
    with pytest.raises(FileNotFoundError, match='e.csv: no such file'): images(tmp_path/'a', label='e.csv')


# --- one door --------------------------------------------------------------------------------------

def test_options_pass_through_get_data_and_descriptions(tmp_path):
    classes(tmp_path, 'a', 'b', n=4)
    put(tmp_path, 'a/x.png', np.zeros((2, 2, 4), 'u1'))
    (tmp_path/'b/y.png').write_bytes(b'x')
    options = dict(ground='black', skip_bad=True, label='folder', gray=True, size=2)
    data = get_data(str(tmp_path), **options)
    assert (len(data), data.shape, data.classes) == (9, (2, 2), 2)
    e = experiment(str(tmp_path), steps=1, batch_size=2, **{f'data.{k}': v for k, v in options.items()})
    assert e['data'] == dict(file=str(tmp_path), **options)
    assert len(e.load_data()) == 9 and experiment(data, steps=1, batch_size=2)['data'] == e['data']
    with pytest.raises(ValueError, match="unknown entry 'data.colour'"): experiment(str(tmp_path), **{'data.colour': 'red'})
    with pytest.raises(ValueError, match='data.ground must be a colour'):
        experiment(str(tmp_path), **{'data.ground': 'whyte', 'steps': 1}).load_data()

def test_stream_in_worker_processes(tmp_path):
    classes(tmp_path, 'a', 'b')
    loader = DataLoader(images(tmp_path, label='folder', memory=10).dataset, batch_size=4, num_workers=1)
    x, y = next(iter(loader))
    assert x.flatten(1)[:, 0].tolist() == [0, 1, 10, 11] and y.tolist() == [0, 0, 1, 1]
