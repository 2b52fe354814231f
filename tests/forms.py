"Data in the forms that people have them in, a few hundred items each, for the tests of windows and films"
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
n = 120

def _pictures(*shape):
    "Bytes: a light square somewhere on dark ground, each channel a little darker than the last"
    out = np.zeros((n, *shape), 'u1')
    for i, (a, b) in enumerate(rng.integers(0, 5, (n, 2))): out[i, a:a + 4, b:b + 4] = 200 + i % 56
    return out

gray, colour = _pictures(8, 8), _pictures(8, 8, 3)
colour = (colour*np.array([1, .75, .5])).astype('u1')
clear = np.concatenate([colour, np.where(colour[..., :1] > 0, 255, 51).astype('u1')], 3)
on_white = np.rint(clear[..., :3]*(clear[..., 3:]/255) + 255 - clear[..., 3:])
images = {   # what is given, and the bytes that should be seen
    '(n, 8, 8) bytes': (gray, gray), '(n, 1, 8, 8)': (gray[:, None], gray), '(n, 8, 8, 1)': (gray[..., None], gray),
    '(n, 3, 8, 8)': (np.moveaxis(colour, 3, 1), colour), '(n, 8, 8, 3)': (colour, colour), '(n, 8, 8, 4)': (clear, on_white),
    '[-1, 1]': (colour/127.5 - 1, colour), '[0, 1]': (colour/255, colour), '[0, 255] floats': (colour*1., colour),
    'oblong': (gray[:, :6], gray[:, :6])}
seen = {k: {bytes(o) for o in v.reshape(n, -1).astype('u1')} for k, (_, v) in images.items()}
images = {k: v for k, (v, _) in images.items()}

waves = np.sin(np.arange(64)/5 + rng.uniform(0, 6, (n, 1)))*3 + 20
series = {'(n, 64)': waves, '(n, 64, 2)': np.stack([waves, -waves], 2), '(n, 2, 64)': np.stack([waves, -waves], 1)}

def people():
    return pd.DataFrame(dict(
        colour=rng.choice(['red', 'green', 'blue'], n), height=rng.normal(172, 9, n).round(1),
        born=pd.Timestamp('1970-01-01') + pd.to_timedelta(rng.integers(0, 15_000, n), 'D'),
        rooms=rng.integers(1, 4, n), income=rng.lognormal(10.3, .4, n).round(), smokes=rng.random(n) < .3))

tables = {
    'two numbers': people()[['height', 'income']], 'five numbers': pd.DataFrame(rng.normal(50, 9, (n, 5)), columns=[*'abcde']),
    'mixed': people(), 'one number of two columns': people()[['colour', 'height']], 'one column': people()[['height']]}
only_categories = people()[['colour', 'smokes']]
blocks = rng.normal(size=(n, 2, 5, 7))
