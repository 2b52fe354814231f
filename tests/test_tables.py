"Tables as people have them: each kind of file is read as its owner means it, or refused with what decides"
import gc
import resource
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text

from gan_nbdev.all import (GAN, Run, Trainer, column_distances, coverage, csv, experiment, fingerprint, get_data, load_run, marginals_and_pairs, metrics,
                           mlp_discriminator, mlp_generator, normal, plot_fakes, plot_more, plot_probability, plot_samples)
from gan_nbdev.cli import gan_sample, gan_train
from gan_nbdev.datasets.tables import Table, table

rng = np.random.default_rng(0)
n = 400
x = rng.normal(size=(n, 2)).round(4)
given = Path(__file__).resolve().parents[2]/'shared/cases/csv'   # small files of others, where they are at hand

def rows(sep=',', end='', cells=x): return '\n'.join(sep.join(map(str, r)) + end for r in cells) + '\n'

comma = rows(';').replace('.', ',')
gaps = rows().split('\n')
gaps = '\n'.join(o.split(',')[0] + ',' if i % 40 == 7 else o for i, o in enumerate(gaps) if o) + '\n'
colours = rng.choice(['green', 'blue', 'red'], n)

# name -> text, names of the columns that are learned, and a word that must be said, if any
read = {
    'header_numeric_only': ('0,1\n' + rows(), ['0', '1'], 'header=False'),
    'header_numeric_big': ('2010,2011\n' + rows(), ['2010', '2011'], 'header=False'),
    'header_with_year': ('country,2019,2020\n' + rows(cells=np.c_[np.arange(n) % 7, x]), ['country', '2019', '2020'], None),
    'pandas_index': (',h,w\n' + rows(cells=[(i, *o) for i, o in enumerate(x)]), ['h', 'w'], 'index'),
    'R_write_csv': ('"","h","w"\n' + ''.join(f'"{i+1}",{a},{b}\n' for i, (a, b) in enumerate(x)), ['h', 'w'], 'index'),
    'R_write_table': ('"h" "w"\n' + ''.join(f'"{i+1}" {a} {b}\n' for i, (a, b) in enumerate(x)), ['h', 'w'], 'index'),
    'pandas_series': (',0\n' + rows(cells=[(i, a) for i, a in enumerate(x[:, 0])]), ['0'], 'index'),
    'one_column_decimal_comma_no_header': (rows(cells=x[:, :1]).replace('.', ','), ['column 1', 'column 2'], "decimal=','"),
    'semicolon_decimal_comma': ('h;w\n' + comma, ['h', 'w'], 'decimal comma'),
    'tab_decimal_comma': ('h\tw\n' + comma.replace(';', '\t'), ['h', 'w'], 'decimal comma'),
    'comment_lines': ('# made by tool X\n# date: 2024\nh,w\n' + rows(), ['h', 'w'], None),
    'savetxt_multiline_header': ('# made by me\n# a b\n' + rows(' '), ['a', 'b'], 'from a comment'),
    'sep_line': ('sep=;\nh;w\n' + rows(';'), ['h', 'w'], None),
    'trailing_comma_rows_only': ('h,w\n' + rows(end=','), ['h', 'w'], 'without name and values'),
    'tab_trailing': ('h\tw\t\n' + rows('\t', '\t'), ['h', 'w'], 'without name and values'),
    'latin1_header': ('höhe,größe\n' + rows(), ['höhe', 'größe'], 'not UTF-8'),
    'utf_16': ('höhe,größe\n' + rows(), ['höhe', 'größe'], None),
    'trailing_blank_rows': ('h,w\n' + rows() + ',\n,\n\n', ['h', 'w'], '2 blank rows'),
    'dup_header': ('h,h\n' + rows(), ['h', 'h.1'], 'the same name'),
    'categorical': ('h,w,colour\n' + rows(cells=np.c_[x, colours]), ['h', 'w', 'colour'], None),
    'booleans': ('h,flag\n' + rows(cells=np.c_[x[:, :1], x[:, 1:] > 0]), ['h', 'flag'], None),
    'small': ('h,w\n' + rows(cells=x[:100]), ['h', 'w'], None),
    'plain': (rows(), ['column 1', 'column 2'], None)}
encodings = dict(latin1_header='latin-1', utf_16='utf-16')

@pytest.mark.parametrize('name', read)
def test_read(tmp_path, name):
    text, names, said = read[name]
    (tmp_path/'t.csv').write_bytes(text.encode(encodings.get(name, 'utf-8')))
    data = get_data(tmp_path/'t.csv')
    assert [c.name for c in data.columns] == names and len(data) == (100 if name == 'small' else n)
    assert said is None or said in repr(data)
    if name.startswith('one_column'): data = csv(tmp_path/'t.csv', decimal=',')
    back = data.items(data.x)[next(c.name for c in data.columns if c.kind == 'number')]
    assert np.allclose(back, x[:len(back), 0], atol=1e-5) and len(data.notes) <= 2

@pytest.mark.parametrize('encoding', ['utf-8', 'utf-16-le', 'utf-16-be', 'utf-32-le', 'utf-32-be'])
@pytest.mark.parametrize('suffix', ['.csv', '.jsonl'])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path, encoding, suffix):
    text = 'a,b\n' + rows() if suffix == '.csv' else pd.DataFrame(x, columns=['a', 'b']).to_json(lines=True, orient='records')
    (tmp_path/'t').with_suffix(suffix).write_bytes(('\ufeff' + text).encode(encoding))
    for o in (None, encoding): assert [c.name for c in table((tmp_path/'t').with_suffix(suffix), encoding=o).columns] == ['a', 'b']

# name -> text, the words of the refusal, what decides, and how many rows are left then
refused = {
    'missing_empty': ('h,w\n' + gaps, "10 in 'w' are missing", dict(missing='drop'), n - 10),
    'missing_na': ('h,w\n' + gaps.replace(',\n', ',NA\n'), "10 in 'w' are missing", dict(missing='drop'), n - 10),
    'total_row': ('h,w\n' + rows() + 'Total,12.5\n', "1 in 'h' are no numbers ('Total' in row 401)", dict(missing='drop'), n),
    'id_column': ('id,h,w\n' + rows(cells=[(f'u{i}', *o) for i, o in enumerate(x)]), "drop=['id'] leaves it out", dict(drop='id'), n),
    'header_longer': ('h,w,note\n' + rows(), "'note' holds nothing", dict(drop=['note']), n),
    'infinite': ('h,w\n' + rows() + '1,inf\n', "1 in 'w' are infinite", dict(missing='drop'), n)}

@pytest.mark.parametrize('name', refused)
def test_refused_with_a_way_on(tmp_path, name):
    text, said, decides, left = refused[name]
    (tmp_path/'t.csv').write_text(text)
    with pytest.raises(ValueError) as e: get_data(tmp_path/'t.csv')
    assert said in str(e.value) and '\n' not in str(e.value) and str(tmp_path/'t.csv') in str(e.value)
    assert len(get_data(tmp_path/'t.csv', **decides)) == left

@pytest.mark.skipif(not given.is_dir(), reason='the files are not at hand')
@pytest.mark.parametrize('path', sorted(given.glob('*')) if given.is_dir() else [], ids=lambda p: p.name)
def test_files_of_others(path):
    decides = {'missing_empty': dict(missing='drop'), 'missing_na': dict(missing='drop'), 'total_row': dict(missing='drop'),
               'id_column': dict(drop=['id']), 'mixed_lengths_header_longer': dict(drop=['note'])}
    data = get_data(path, **decides.get(path.stem, {}))
    assert len(data) >= 90 and data.dim <= 8 and data.items(data.x).notna().all().all()

# --- data frames ---------------------------------------------------------------------------------

frame = pd.DataFrame(dict(a=x[:, 0], b=rng.integers(18, 90, n), c=x[:, 1] > 0, d=colours, e=pd.Timestamp('2020-01-01') + pd.to_timedelta(rng.integers(0, 999, n), 'D')))

def test_frames_there_and_back():
    data = get_data(frame)
    assert [c.kind for c in data.columns] == ['number', 'whole', 'boolean', 'category', 'date']
    back = data.items(data.x)
    assert np.allclose(back.a, frame.a, atol=1e-5) and (back[['b', 'c', 'd', 'e']] == frame[['b', 'c', 'd', 'e']]).all().all()
    for o in (frame.astype(dict(b='Int64', c='boolean', d='category')), frame.sample(frac=1, random_state=0).sort_index(), frame.assign(b=frame.b.astype('int8'))):
        assert torch.allclose(get_data(o).x, data.x)
    assert fingerprint(get_data(frame)) == fingerprint(get_data(frame.copy())) != fingerprint(get_data(frame.assign(a=-frame.a)))

def test_a_gan_makes_such_tables():
    data = table(frame, label='d')
    gan = GAN(mlp_generator(4, data.dim, (16,), choices=data.choices, classes=3, seed=0),
              mlp_discriminator(data.dim, (16,), classes=3, seed=1), normal(4), classes=3)
    t = Trainer(gan, data, batch_size=64, engine='eager', seed=0).fit(5, progress=False)
    fake = t.sample(50)
    assert [*fake.columns] == [*frame.columns] and [str(o) for o in fake.dtypes] == [str(o) for o in data.items(data.x[:2], data.labels[:2]).dtypes]
    assert set(fake.d) <= {*colours} and set(t.sample(9, y=1).d) == {'green'} and fake.b.dtype == 'int64'
    raw = gan.sample(50, torch.Generator().manual_seed(0))
    for first, k in data.choices: assert (raw[:, first:first + k].sum(1) == 1).all() and set(raw[:, first:first + k].unique().tolist()) <= {0., 1.}
    grad = torch.autograd.grad(gan(torch.randn(8, 4), torch.zeros(8, dtype=torch.int64))[:, 1:].sum(), [*gan.generator.parameters()], allow_unused=True)
    assert any(o is not None and o.abs().max() > 0 for o in grad)   # the choice lets the gradient through

def test_choices_in_the_compiled_engine():
    data, out = table(frame), []
    for engine in ('eager', 'compiled'):
        gan = GAN(mlp_generator(3, data.dim, (8,), choices=data.choices, seed=0), mlp_discriminator(data.dim, (8,), seed=1), normal(3))
        out.append(Trainer(gan, data, batch_size=32, engine=engine, seed=0, device='cpu').fit(3, progress=False).gan.state_dict())
    assert all(torch.allclose(v, out[1][k], atol=1e-5) for k, v in out[0].items())

def test_readme_lines_on_a_table(tmp_path):
    (tmp_path/'t.csv').write_text('h,w\n' + rows())
    data = csv(tmp_path/'t.csv')
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), normal(2))
    t = Trainer(gan, data, batch_size=64, engine='eager').fit(2, progress=False)
    with pytest.raises(ValueError, match='metrics'): coverage(t.sample(100), data)
    low, high = plot_probability(gan, data).get_xlim()
    assert low < x[:, 0].min() and high > x[:, 0].max()   # the data's own units
    assert 0 <= metrics(t.sample(100), data)['two_sample_accuracy'] <= 1

def test_small_data_get_small_minibatches():
    gan = GAN(mlp_generator(2, 2, (8,), seed=0), mlp_discriminator(2, (8,), seed=1), normal(2))
    with pytest.warns(UserWarning, match='has 100 rows: minibatches are of 100, not of 256'):
        t = Trainer(gan, table(frame[['a', 'b']].head(100)))
    assert t.batch_size == 100

# --- commands ------------------------------------------------------------------------------------

def test_from_a_file_to_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame.to_csv('people.csv', index=False)
    settings = dict(steps=3, device='cpu', engine='eager', batch_size=32, g_hidden='8', d_hidden='8', quiet=True)
    gan_train('people.csv', label='d', drop='b', out='run', **settings)
    gan, data, record = load_run('run')
    assert gan.classes == 3 and record['experiment']['data']['label'] == 'd'
    for out in ('s.csv', 's.parquet', 's.xlsx', 's.jsonl', 's.tsv', 's.feather'):
        gan_sample('run', n=20, out=out)
        back = table(out, missing='drop') if out != 's.png' else None
        assert {c.name for c in back.columns} <= {'a', 'c', 'd', 'e'} and len(back) == 20
    assert pd.read_csv('s.csv').columns.tolist() == ['a', 'c', 'd', 'e']
    with pytest.raises((ValueError, SystemExit)): gan_sample('run', out='s.npy')
    gan_train('people.csv', resume=True, out='run', quiet=True, steps=5)   # goes on with what was asked of the file

def test_a_workbook_holds_texts_as_they_are_or_says_what_it_cannot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = dict(steps=0, device='cpu', engine='eager', batch_size=32, g_hidden='8', d_hidden='8', quiet=True)
    rng = np.random.default_rng(0)
    def of(**columns): pd.DataFrame(dict(columns, b=rng.normal(size=60))).to_csv('t.csv', index=False); gan_train('t.csv', out='run', force=True, **settings)
    of(a=rng.choice(['=1+1', '#DIV/0!', 'x'], 60))
    gan_sample('run', n=30, out='s.xlsx'); gan_sample('run', n=30, out='s.csv')
    assert pd.read_excel('s.xlsx').a.tolist() == pd.read_csv('s.csv').a.tolist() and {*pd.read_csv('s.csv').a} & {'=1+1', '#DIV/0!'}
    for column, why in ((rng.choice(['x\x07y', 'z'], 60), 'cannot be used in worksheets'), (2**60 + rng.integers(0, 2**40, 60), "beyond 2.*'a'")):
        of(a=column)
        with pytest.raises(ValueError, match=why): gan_sample('run', n=200, out='other.xlsx')
    of(a=rng.choice(['x', 'y'], 60))
    seen, old = [], resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(sys, 'unraisablehook', seen.append)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, old[1]))
    try:
        with pytest.raises(ValueError, match='--out other.xlsx cannot be written: File too large'): gan_sample('run', n=3000, out='other.xlsx')
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, old)
    gc.collect()   # what is half written would complain now
    assert not Path('other.xlsx').exists() and not seen

@pytest.mark.parametrize('scale', ['standard', 'unit'])
def test_a_frame_of_ones_own_is_kept_with_the_run(tmp_path, scale):
    from gan_nbdev.all import Run
    e = experiment(get_data(frame, scale=scale), steps=2, device='cpu', engine='eager', batch_size=32, **{'generator.hidden': [8], 'discriminator.hidden': [8]})
    run = Run(e); run.fit(2, progress=False); run.save(tmp_path/'run')
    again = Run.open(tmp_path/'run')
    assert type(again.trainer.data) is Table and again.trainer.sample(5).equals(run.trainer.sample(5))

# --- what a reader must not change ---------------------------------------------------------------

def text_table(tmp_path, text, name='t.csv', **how):
    (tmp_path/name).write_text(text)
    return table(tmp_path/name, **how)

@pytest.mark.parametrize('cells', [lambda i: 2**60 + i if i - 6 else '', lambda i: 2**60 + 400*i, lambda i: 2**64 + i % 3, lambda i: 2**64 + i % 3 if i - 6 else ''],
                         ids=['gap', 'whole', '65 bits', '65 bits and a gap'])
def test_digits_that_are_lost_are_said(tmp_path, cells):
    t = text_table(tmp_path, 'id,b\n' + ''.join(f'{cells(i)},{i*i}\n' for i in range(60)), missing='drop')
    assert any("'id' has whole numbers beyond 2**53" in o for o in t.notes)

def test_large_measurements_are_no_lost_digits(tmp_path):
    t = text_table(tmp_path, 'a,b\n' + ''.join(f'{10**(14 + i/10) + .5},{i*i}\n' for i in range(60)))
    assert not t.notes

def test_whole_numbers_of_64_bits_stay_categories(tmp_path):
    t = text_table(tmp_path, 'id,b\n' + ''.join(f'{2**60 + i % 3},{i*i}\n' for i in range(60)))
    assert t.columns[0].values == (2**60, 2**60 + 1, 2**60 + 2) and not t.notes

def test_booleans_beside_missing_cells(tmp_path):
    t = text_table(tmp_path, 'a,b\n' + ''.join(f'{["True", "False", ""][i % 3]},{i*i}\n' for i in range(60)), missing='drop')
    assert [c.kind for c in t.columns] == ['boolean', 'whole'] and len(t) == 40

def test_dates_are_no_classes():
    with pytest.raises(ValueError, match="label 'a' holds dates, which are no classes"):
        table(pd.DataFrame(dict(a=pd.date_range('2020', periods=60), b=np.arange(60.)**2)), label='a')

def cells(data, name, n=3): return data.items(data.x, getattr(data, 'labels', None))[name].tolist()[:n]

def test_dates_stay_dates_beside_thousands_points(tmp_path):
    data = text_table(tmp_path, 'datum;preis;code\n' + '01.02.2020;1.100,50;1.2.3\n15.03.2020;950;1.200.5\n28.04.2021;2.000;1.2.3\n'*9, date_format='%d.%m.%Y')
    assert [c.kind for c in data.columns] == ['date', 'number', 'category']
    assert [str(o)[:10] for o in cells(data, 'datum')] == ['2020-02-01', '2020-03-15', '2021-04-28']
    assert np.allclose(cells(data, 'preis'), [1100.5, 950, 2000]) and cells(data, 'code') == ['1.2.3', '1.200.5', '1.2.3']

thousands = [1200, 950, 15000]
fractions = [1.2, 950, 15]

@pytest.mark.parametrize('text, how, values, said', [
    ('price,n\n"1,200",1\n"950",2\n"15,000",3\n', {}, thousands, "decimal=','"),
    ('price,n\n"1,200",1\n"950",2\n"15,000",3\n', dict(decimal='.'), thousands, None),
    ('price,n\n"1,200",1\n"950",2\n"15,000",3\n', dict(decimal=','), fractions, None),
    ('preis;n\n1.200;1\n950;2\n15.000;3\n', {}, thousands, "decimal='.'"),
    ('preis;n\n1.200;1\n950;2\n15.000;3\n', dict(decimal=','), thousands, None),
    ('preis;n\n1.200;1\n950;2\n15.000;3\n', dict(decimal='.'), fractions, None),
    ('preis\n1.200\n950\n15.000\n', {}, thousands, "decimal='.'"),
    ('price,w\n"1,200",.5\n"3,400",.25\n"15,000",2.5\n', {}, [1200, 3400, 15000], None),
    ('x;n\n1.200;1\n9.500;2\n15.125;3\n', {}, [1.2, 9.5, 15.125], "decimal=','"),
    ('x;n\n1,200;1\n9,500;2\n15,125;3\n', {}, [1.2, 9.5, 15.125], "decimal='.'"),
    ('x;n\n0,200;1\n950;2\n15,125;3\n', {}, [.2, 950, 15.125], "decimal='.'"),
    ('x;n\n1.234.567;1\n9.500.000;2\n2.345.678;3\n', {}, [1234567, 9500000, 2345678], "decimal='.'"),
    ('x,n\n1.200,1\n950,2\n15.000,3\n', {}, fractions, None)])
def test_thousands_and_fractions(tmp_path, text, how, values, said):
    data = text_table(tmp_path, text, **how)
    assert np.allclose(cells(data, data.columns[0].name), values, rtol=1e-4)
    notes = [o for o in data.notes if 'decimal=' in o]
    assert len(notes) == (said is not None) and all(said in o for o in notes)

@pytest.mark.parametrize('few', [300, 140_000])   # further than the first lines, and than the first piece
def test_thousands_that_come_late(tmp_path, few):
    data = text_table(tmp_path, 'preis;n\n' + ''.join(f'{i % 900};{i % 7}\n' for i in range(few)) + '1.200;2\n15.000;3\n')
    assert np.allclose(data.items(data.x).preis.tolist()[-2:], [1200, 15000]) and "decimal='.'" in repr(data)

def test_a_total_below_numbers_with_a_decimal_comma(tmp_path):
    data = text_table(tmp_path, 'h;w\n' + '1,5;2\n2,5;3\n3,5;7\n'*9 + 'Summe;9\n', missing='drop')
    assert data.columns[0].kind == 'number' and "'Summe' in row 28" in repr(data)

def test_rows_that_begin_with_a_hash(tmp_path):
    data = text_table(tmp_path, '# made by hand\ncolour,n\n' + '#ff0000,1\n#1,2\n# note\nred,3\n'*5)
    assert len(data) == 15 and cells(data, 'colour') == ['#ff0000', '#1', 'red']
    assert [o for o in data.notes if '#' in o] == ['lines after the first row that begin with # and are no rows are left out: 5']
    assert len(text_table(tmp_path, 'colour,n\n' + '#ff0000,1\n#1,2\n'*5)) == 10
    assert len(text_table(tmp_path, 'a b\n1 2\n# x\n3 5\n# y\n4 4\n')) == 3   # between blanks, '# ' is a comment

@pytest.mark.parametrize('header', ['zip,n\n', ''])
def test_zeros_first_that_come_late(tmp_path, header):
    data = text_table(tmp_path, header + ''.join(f'{10000 + i % 9},{i}.5\n' for i in range(300)) + '02139,1.5\n')
    assert data.columns[0].kind == 'category' and '02139' in data.columns[0].values and 'begin with 0' in repr(data)
    data = text_table(tmp_path, header + '0123,1.5\n4567,2.5\n0930,3.5\n'*9)   # nor are these years
    assert data.columns[0].values == ('0123', '0930', '4567')

def test_json_lines_keep_their_kinds(tmp_path):
    text = ''.join(f'{{"zip": "0213{i % 3}", "updated_at": {i/4}, "2020-01-01": {i}}}\n' for i in range(9))
    data = text_table(tmp_path, text, 't.jsonl')
    assert [(c.name, c.kind) for c in data.columns] == [('zip', 'category'), ('updated_at', 'number'), ('2020-01-01', 'whole')]
    assert data.columns[0].values == ('02130', '02131', '02132')

@pytest.mark.parametrize('header', ['v,tags\n', ''])
def test_a_separator_within_cells(tmp_path, header):
    data = text_table(tmp_path, header + '0,a;b\n1,a;c\n2,a;b\n'*9)
    assert data.columns[1].values == ('a;b', 'a;c') and cells(data, data.columns[0].name) == [0, 1, 2]
    data = text_table(tmp_path, '1,5;2,5\n3,5;4,5\n4,5;5\n')
    assert np.allclose(data.items(data.x), [[1.5, 2.5], [3.5, 4.5], [4.5, 5]])

def test_an_index_with_a_name_is_not_lost_silently(tmp_path):
    when = frame.set_index(pd.date_range('2020-01-01', periods=n, name='when'))
    when.to_parquet(tmp_path/'t.parquet')
    for o in (when, tmp_path/'t.parquet'): assert "the index 'when' is left out (reset_index() makes it a column)" in table(o).notes
    assert not table(frame).notes

def test_dates_too_far_away():
    for old in ('1003-05-12', pd.Timestamp('1003-05-12'), '9999-12-31'):
        with pytest.raises(ValueError, match=r"column 'd' has dates from .* only those from 1678 to 2261 .*drop=\['d'\]"):
            table(frame.assign(d=[old, type(old)('2020-01-01')]*(n//2)))

def test_dates_come_back_up_to_the_ends_of_what_is_taken():
    days = ['1677-09-22', '1679-05-01', '1690-01-01', '2250-01-01', '2256-01-01', '2260-06-01', '2262-04-11']
    t = table(pd.DataFrame(dict(d=pd.to_datetime(days))))
    assert t.items(t.x).d.astype(str).tolist() == days
    for by in (100, np.inf): assert t.items(t.x*by).d[[0, 6]].astype(str).tolist() == [days[0], days[6]]
    late = table(pd.DataFrame(dict(d=pd.to_datetime(days) + pd.Timedelta('1us'))))
    assert late.items(late.x*100).d.dt.year[[0, 6]].tolist() == [1677, 2262]

@pytest.mark.parametrize('way', ['frame', '.parquet', '.feather'])
def test_types_of_arrow_are_read_as_pandas_own(tmp_path, way):
    when = pd.date_range('2020-01-01', periods=n)
    odd = pd.DataFrame(dict(day=when.to_series().astype('date32[pyarrow]').array, one=pd.Series([when[0]]*n).astype('date32[pyarrow]'),
                            at=pd.Series([pd.Timestamp(2020, 1, 1, i % 3).time() for i in range(n)], dtype='time64[us][pyarrow]'), half=pd.Series(x[:, 0], dtype='halffloat[pyarrow]'),
                            gaps=pd.Series([None, *x[1:, 1]], dtype='double[pyarrow]'), within=pd.interval_range(0, 1, n).take(np.arange(n) % 3)))
    if way != 'frame': getattr(odd, 'to_' + way[1:])(tmp_path/f't{way}')
    t = table(odd if way == 'frame' else tmp_path/f't{way}', missing='drop')
    assert [c.kind for c in t.columns] == ['date', 'constant', 'category', 'number', 'number', 'category']
    assert t.items(t.x).day.tolist() == [*when[1:]] and torch.allclose(t.scale(odd[1:]), t.x, atol=1e-5)
    assert "'at' holds values of type time: they come back as texts" in t.notes

@pytest.mark.parametrize('of', ['list<item: int64>', 'struct<a: int64>'])
def test_lists_of_arrow_are_refused_by_name(of):
    import pyarrow as pa
    kind = pa.list_(pa.int64()) if of[0] == 'l' else pa.struct([('a', pa.int64())])
    odd = frame.assign(odd=pd.Series([[1] if of[0] == 'l' else dict(a=1)]*n, dtype=pd.ArrowDtype(kind)))
    with pytest.raises(ValueError, match=r"column 'odd' holds .*s, not single values: drop=\['odd'\]"): table(odd)
    assert len(table(odd, drop='odd').columns) == len(table(frame).columns)

@pytest.mark.filterwarnings('error')
def test_a_text_that_is_infinite():
    texts = frame.assign(a=['inf', *frame.a.astype(str)[1:]])
    with pytest.raises(ValueError, match="1 in 'a' are infinite"): table(texts)
    assert len(table(texts, missing='drop')) == n - 1

def test_columns_called_by_numbers():
    numbered = frame.set_axis(range(5), axis=1)
    assert [*table(numbered, label=3).class_names] == ['blue', 'green', 'red']
    assert [c.name for c in table(numbered, drop=0).columns] == ['1', '2', '3', '4']
    assert [c.name for c in table(numbered, columns=[0, 1], kinds={1: 'number'}).columns] == ['0', '1']
    with pytest.raises(ValueError, match="label names '7', but the columns are 0, 1, 2, 3, 4"): table(numbered, label=7)

def test_no_columns():
    with pytest.raises(ValueError, match='the table has no columns'): table(pd.DataFrame())
    with pytest.raises(ValueError, match='the table has no rows'): table(frame[:0])
    for o in ([], ''):
        with pytest.raises(ValueError, match='columns names no columns.*it may name a, b'): table(frame, columns=o)

def test_classes_beside_a_missing_cell_stay_whole(tmp_path):
    data = text_table(tmp_path, 'a,lab\n' + '.5,1\n.25,2\n1.5,3\n'*5 + '7.5,\n', label='lab', missing='drop')
    assert data.class_names == ('1', '2', '3') and cells(data, 'lab') == [1, 2, 3] and "1 in 'lab' are missing" in repr(data)
    with pytest.raises(ValueError, match="1 in 'lab' are missing"): table(frame[['a']].assign(lab=['', *colours[1:]]), label='lab')

@pytest.mark.parametrize('values, n, kind', [(10, 100, 'category'), (10, 99, 'whole'), (11, 110, 'whole')])
def test_whole_numbers_are_categories_if_few_and_each_is_there_often(values, n, kind):
    frame = pd.DataFrame(dict(x=np.arange(n) % values, y=np.linspace(0, 1, n)))
    assert table(frame).columns[0].kind == kind

def test_the_scale_unit_is_of_each_column_alone():
    frame = pd.DataFrame(dict(a=[-3, 1, 5], b=[10, 20, 40]))
    data = table(frame, scale='unit')
    assert data.bounded and torch.allclose(data.x, torch.tensor([[0, 0], [.5, 1/3], [1, 1]]))
    pd.testing.assert_frame_equal(data.items(data.x), frame)


@pytest.mark.parametrize('spoil, why', [
    (lambda f: pd.concat([f, f[['a']]], axis=1), "two columns are called 'a'"),
    (lambda f: f.assign(b=f.b.where(f.index != 3)), "'b' has a missing cell, in row 3"),
    (lambda f: f.assign(day=f.day.where(f.index != 4)), "'day' has a missing cell, in row 4"),
    (lambda f: f.assign(grade=3.5), r"'grade' has 3\.5, which is none of \(1, 2\)"),
    (lambda f: f.assign(b=['foo', *f.b[1:]]), "'b' must hold numbers, not .*'foo'"),
    (lambda f: f.assign(day=f.day.dt.strftime('%d.%m.%Y')), "'day' must hold dates of the form ISO8601, not '01.01.2020'"),
    (lambda f: f.assign(day=range(50)), "'day' must hold dates, not int64"),
    (lambda f: f.drop(columns='kind'), "lacks the column 'kind'")])
def test_rows_that_are_no_rows_of_the_table_are_refused_by_column(spoil, why):
    frame = pd.DataFrame(dict(a=x[:50, 0], b=x[:50, 1], kind=[*'xy'*25], grade=[1, 2]*25, day=pd.date_range('2020-01-01', periods=50)))
    with pytest.raises(ValueError, match=why): metrics(spoil(frame), get_data(frame))


@pytest.mark.parametrize('texts', [
    dict(v=pd.date_range('2020-01-01', periods=50).strftime('%d.%m.%Y')), dict(v=pd.date_range('2020-01-01', periods=50).strftime('%Y-%m-%d')),
    dict(v=pd.date_range('2020-01-01', periods=50).strftime('%d.%m.%Y %H:%M:00+02:00'), date_format='%d.%m.%Y %H:%M:%S%z'),
    dict(v=[*'01234']*10), dict(v=[*'01abc']*10), dict(v=[f'{i}.5' for i in range(50)]),
    dict(v=['007', '08']*25, kinds=dict(v='whole')), dict(v=[*'01']*25, kinds=dict(v='boolean'))])
def test_texts_are_scaled_as_they_were_read(texts):
    how = dict(texts)
    frame = pd.DataFrame(dict(v=how.pop('v'), b=x[:50, 0]))
    data = table(frame, **how)
    for part in (slice(0, 12), slice(31, 43), slice(None)):
        assert torch.allclose(data.scale(frame.iloc[part]), data.x[part])
        assert torch.allclose(data.scale(data.items(data.x[part])), data.x[part], atol=1e-4)
    assert metrics(frame, data)['distance_v'] < .5

def test_the_form_of_dates_is_kept_with_a_run(tmp_path):
    from gan_nbdev.all import Run
    days = pd.DataFrame(dict(v=pd.date_range('2020-01-01', periods=50).strftime('%d.%m.%Y'), b=x[:50, 0]))
    run = Run(experiment(get_data(days), steps=1, device='cpu', engine='eager', batch_size=16, **{'generator.hidden': [8], 'discriminator.hidden': [8]}))
    run.fit(1, progress=False).save(tmp_path/'run')
    assert torch.equal(Run.open(tmp_path/'run').trainer.data.scale(days), run.trainer.data.scale(days))

@pytest.mark.parametrize('how, why', [
    (dict(label='d', drop='d'), "drop names 'd', which is the label"), (dict(columns=['a', 'a']), "columns names 'a' twice"),
    (dict(kinds='number'), "kinds must be an object of entries, not 'number'"), (dict(date_format=3), 'date_format must be a text'),
    (dict(label='d', kinds=dict(d='number')), r"kinds\['d'\] must be category or boolean, for it is the label, not 'number'"),
    (dict(kinds=dict(a='constant')), r"kinds\['a'\] cannot be constant: the column holds .* and"),
    (dict(kinds=dict(e='number')), r"kinds\['e'\] cannot be 'number': the column holds dates"),
    (dict(kinds=dict(a='whole')), r"kinds\['a'\] cannot be whole: the column holds -?\d\.\d+$"),
    (dict(drop=[*'abcde']), '^no column is left: there'), (dict(drop=[*'abce'], label='d'), '^no column is left beside the label: there'),
    (dict(scale=np.array([0, 1])), r'scale must be .* for a table with categories, not \[0, 1\]'), (dict(sep=''), 'sep, .* are for files')])
def test_what_cannot_be_done_with_a_table_is_refused(how, why):
    with pytest.raises(ValueError, match=why) as e: table(frame, **how)
    assert '\n' not in str(e.value)

def test_shift_and_factor_may_be_an_array():
    assert torch.equal(table(frame[['a', 'b']], scale=np.array([0, 2.])).x, table(frame[['a', 'b']], scale=(0, 2.)).x)

several, texts_ = "'c' holds values of several types, as {}: they come back as one type, and", "'c' holds numbers as texts: it comes back as numbers"

@pytest.mark.parametrize('cells, how, said', [
    ([True, 'True'], {}, several.format("True and 'True'")), ([1, '1'], {}, several.format("1 and '1'")), ([True, 0], {}, several.format('True and 0')),
    ([np.int64(1), 'x', ' '], dict(missing='drop'), several.format("1 and 'x'")), ([1, ' ', 2., None], dict(missing='drop'), None),
    ([*'1234'], {}, texts_), (['.5', '1.5', ' '], dict(missing='drop'), texts_), (['7'], {}, texts_), ([*'12'], dict(kinds=dict(c='whole')), None),
    ([*'12'], dict(kinds=dict(c='category')), None), (['01', '2'], {}, 'begin with 0'), (['2020-01-01', '2020-01-02'], {}, None)], ids=str)
def test_cells_that_change_their_type_or_become_one_are_told(cells, how, said):
    notes = [o for o in table(pd.DataFrame(dict(c=pd.Series(cells*20), b=x[:20*len(cells), 0])), **how).notes if 'left out' not in o]
    assert len(notes) == (said is not None) and all(said in o for o in notes)

def test_of_a_text_file_cells_are_texts_in_any_case(tmp_path):
    assert not text_table(tmp_path, 'c,b\n' + ''.join(f'"{i % 4}",{i*i}\n' for i in range(60))).notes
    big = text_table(tmp_path, 'c,b\n' + ''.join(f'{2**64 + i % 3},{i*i}\n' for i in range(60)))
    assert not [o for o in big.notes if 'texts' in o]

def test_complex_numbers_are_refused_in_one_line(recwarn):
    with pytest.raises(ValueError, match="column 'c' holds complex numbers"): table(frame.assign(c=frame.a + 1j))
    assert not recwarn

@pytest.mark.parametrize('suffix, how, said', [
    ('.parquet', dict(header=False), 'header=False'), ('.feather', dict(encoding='latin1'), "encoding='latin1'"), ('.xlsx', dict(sep=';'), "sep=';'"),
    ('.jsonl', dict(decimal=','), "decimal=','"), ('.csv', dict(header=0), 'header must be True, False or None, not 0')])
def test_options_that_say_nothing_of_a_file_are_refused(tmp_path, suffix, how, said):
    (tmp_path/f't{suffix}').write_text('a,b\n1,2\n3,5\n')
    with pytest.raises(ValueError, match=said): table(tmp_path/f't{suffix}', **how)

def test_numbers_of_another_byte_order():
    back = table(frame[['a', 'b']].astype(dict(a='>f4', b='>i2')))
    assert [str(o) for o in back.items(back.x).dtypes] == ['float32', 'int16']

# --- dollars -------------------------------------------------------------------------------------

money = pd.DataFrame({'net_$_gross_$': x[:60, 0], '$_b_$': x[:60, 1], 'pay': [*['$10k-$20k', '$100_$200']*30]})

@pytest.mark.parametrize('columns', [None, ['net_$_gross_$', '$_b_$'], ['pay']])
def test_dollars_are_drawn_as_they_are(columns):
    fig = Figure()
    data = table(money, columns=columns)
    frames = data.items(data.x), data.items(data.x)
    left, right, wide = fig.subplots(1, 3)
    plot_samples(*frames, ax=left)
    plot_more({'$_a_$': np.ones(3)}, right)
    if data.dim == 2: plot_probability(GAN(mlp_generator(2, 2, (4,)), mlp_discriminator(2, (4,)), normal(2)), data, wide)
    for o in (fig, marginals_and_pairs(*frames)):
        o.canvas.draw()
        texts = [t.get_text() for t in o.findobj(Text) if '$' in t.get_text() and 'x_' not in t.get_text()]
        assert texts and not any(map(is_math_text, texts))

@pytest.mark.filterwarnings('error:.*is not written')
def test_a_run_on_a_table_with_dollars_is_kept_with_its_pictures(tmp_path):
    from gan_nbdev.all import Run
    e = experiment(get_data(money), steps=1, device='cpu', engine='eager', batch_size=16, **{'generator.hidden': [8], 'discriminator.hidden': [8]})
    Run(e).fit(1, progress=False).save(tmp_path/'run')
    assert (tmp_path/'run/samples.png').is_file()


def test_commas_that_group_thousands_are_told_beside_decimal_points(tmp_path):
    (tmp_path/'t.csv').write_text('sales;x\n' + ''.join(f'{1000 + 37*i:,};{i % 9}.5\n' for i in range(60)))
    d = table(tmp_path/'t.csv')
    assert 'commas group thousands, 1,200 being 1200' in str(d) and '1000 … 3183' in str(d)

# --- what is said of dates, signs, names and the index -------------------------------------------

def kinds_of(data): return {c.name: c.kind for c in data.columns}

few = x[:60, 0]
days = pd.date_range('2019-12-20', periods=60)

def test_a_form_of_dates_is_tried_first_and_the_known_ones_after_it():
    data = table(pd.DataFrame(dict(iso=days.strftime('%Y-%m-%d'), us=days.strftime('%m/%d/%Y'), own=days.strftime('%d_%m_%Y'), b=few)), date_format='%d_%m_%Y')
    assert kinds_of(data) == dict(iso='date', us='date', own='date', b='number')
    assert [o for o in data.notes if 'does not fit' in o] == ["'us' is read as dates of the form %m/%d/%Y, for %d_%m_%Y does not fit"]
    assert all((data.items(data.x)[o] == days).all() for o in ('iso', 'us', 'own'))

@pytest.mark.parametrize('cells, form, said', [
    (['01.02.2020', '05.02.2020'], '%Y/%d/%m', ": 'c' holds '01.02.2020'"), (['01/13/2020', '13/01/2020'], '%m/%d/%Y', ": 'c' holds '13/01/2020'"),
    (['x', 'y'], '%Y', '; numbers are dates only where kinds says so'), ([.5, 1.5], '%Y', '; numbers are dates only where kinds says so'),
    (['01.02.2020']*2, '%Q', ": 'c' holds '01.02.2020'"),
    ([20200101, 20200102], '%Y%m%d', """: the numbers in 'c' are dates if kinds={'c': "date"} says so""")])
def test_a_form_of_dates_that_fits_no_column_is_refused(cells, form, said):
    with pytest.raises(ValueError) as e: table(pd.DataFrame(dict(c=cells*30, b=few)), date_format=form)
    assert str(e.value) == f'date_format={form!r} fits no column{said}'

@pytest.mark.parametrize('form, held', [('%m.%Y', 'texts'), ('%m.%Y', 'csv'), *product(['%Y%m%d', '%d%m%Y'], ['texts', 'numbers', 'csv', 'xlsx', 'parquet'])])
def test_numbers_are_dates_where_it_is_said(form, held, tmp_path):
    when = pd.date_range('2019-10-01', periods=60, freq='MS') if form == '%m.%Y' else days
    what = pd.DataFrame(dict(c=when.strftime(form), b=few))
    if held not in ('texts', 'csv'): what['c'] = what.c.astype(int)
    how = dict(kinds=dict(c='date'), date_format=form)
    data = table(what if held in ('texts', 'numbers') else written(what, tmp_path/f't.{held}'), **how)
    assert (data.items(data.x).c == when).all() and torch.allclose(data.scale(what), data.x)

def written(frame, path):
    getattr(frame, dict(csv='to_csv', xlsx='to_excel', parquet='to_parquet', jsonl='to_json', feather='to_feather')[path.suffix[1:]])(
        path, **dict(csv=dict(index=False), xlsx=dict(index=False), jsonl=dict(orient='records', lines=True)).get(path.suffix[1:], {}))
    return path

@pytest.mark.parametrize('form', ['%Y%m%d', '%d%m%Y'])
def test_numbers_that_are_dates_may_have_gaps(form, tmp_path):
    what = pd.DataFrame(dict(c=days.strftime(form).astype(float), b=few))
    what.loc[4, 'c'] = np.nan   # pandas writes .0 behind the others
    for o in (what, written(what, tmp_path/'t.csv')):
        data = table(o, kinds=dict(c='date'), date_format=form, missing='drop')
        assert (data.items(data.x).c == days.delete(4)).all() and torch.allclose(data.scale(what.dropna()), data.x)

def test_a_column_called_dates_that_has_none_is_refused():
    two = pd.DataFrame(dict(c=['x', 'y']*30, d=days.strftime('%Y-%m-%d'), b=few))
    with pytest.raises(ValueError, match="column 'c' holds no dates that can be read: .*, and %Y-%m-%d does not"):
        table(two, kinds=dict(c='date'), date_format='%Y-%m-%d')

@pytest.mark.parametrize('form', ['%m-%d-%Y', '%m/%d/%y', '%d.%m.%y', '%m/%d/%Y %H:%M', '%d.%m.%Y %H:%M', '%d-%b-%Y', '%d %B %Y', '%d-%b-%y', '%m/%d/%Y %I:%M %p'])
def test_usual_forms_of_dates_are_known(form):
    when = pd.Timestamp('2020-01-01') + pd.to_timedelta(np.arange(60)*8837, 'min')
    texts = pd.DataFrame(dict(c=when.strftime(form), b=few))
    data = table(texts)
    assert kinds_of(data)['c'] == 'date' and (data.items(data.x).c - pd.to_datetime(texts.c, format=form)).abs().max() < pd.Timedelta('1min')   # of float32
    assert torch.allclose(data.scale(texts), data.x) and any('two digits' in o for o in data.notes) == ('%y' in form)

@pytest.mark.parametrize('cells, said', [
    (['3-4-2020', '5-6-2020'], 'of the form %d-%m-%Y, and could be %m-%d-%Y'), (['3/4/20', '5/6/20'], 'of the form %d/%m/%y, and could be %m/%d/%y'),
    (['20/01/05', '20/12/31'], 'of the form %d/%m/%y, and could be %y/%m/%d')])
def test_dates_that_can_be_read_in_two_ways_are_told(cells, said):
    assert any(said in o for o in table(pd.DataFrame(dict(c=cells*30, b=few))).notes)

def test_what_is_no_date_for_certain_stays_text_and_what_looks_like_one_is_told():
    assert kinds_of(table(pd.DataFrame(dict(c=['1.10.12', '1.10.13']*30, b=few))))['c'] == 'category'
    looks = pd.DataFrame(dict(c=days.strftime('%d-%m-%y'), b=few))
    with pytest.raises(ValueError, match='names, not categories; if these are dates, date_format=… says'): table(looks)
    many = pd.concat([looks]*3, ignore_index=True)
    assert any("'c' is read as 60 categories: if these are dates, date_format=…" in o for o in table(many).notes)
    assert kinds_of(table(looks, date_format='%d-%m-%y'))['c'] == 'date'

def test_a_workbook_without_a_header_of_texts_is_read_cell_by_cell(tmp_path):
    pd.DataFrame(dict(zip=['00123', '00456', '00789']*20, b=few, c=[*'123']*20)).to_excel(tmp_path/'z.xlsx', index=False, header=False)
    data = table(tmp_path/'z.xlsx')
    assert data.columns[0].values == ('00123', '00456', '00789') and "'column 3' holds numbers as texts" in repr(data)
    pd.DataFrame({'': range(60), 2019: few, 2020: few**2, 2021: days}).to_excel(tmp_path/'e.xlsx', index=False)
    assert [c.name for c in table(tmp_path/'e.xlsx', header=True).columns] == ['2019', '2020', '2021']

def test_an_index_without_a_name_is_told_unless_it_counts_the_rows(tmp_path):
    two = pd.DataFrame(dict(a=few, b=few**2))
    for index, said in ((days, '2019-12-20 00:00:00'), ([f'n{i}' for i in range(60)], 'n0'), (range(1990, 2050), '1990'), (pd.MultiIndex.from_product([range(30), [*'ab']]), "0, a")):
        odd = two.set_axis(index)
        odd.to_parquet(tmp_path/'t.parquet')
        for o in (odd, tmp_path/'t.parquet'): assert table(o).notes == [f'the index {said}, …, is left out (reset_index() makes it a column)']
    for index in (range(60), [*range(60)], range(1, 61)): assert not table(two.set_axis(index)).notes

def test_a_feather_file_in_pieces_has_one_index(tmp_path):
    feather, arrow = pytest.importorskip('pyarrow.feather'), pytest.importorskip('pyarrow')
    for index, n in ((None, 0), (days, 1)):
        feather.write_feather(arrow.Table.from_pandas(pd.DataFrame(dict(a=few, b=few**2), index=index)), str(tmp_path/'t.feather'), chunksize=25)
        assert len(table(tmp_path/'t.feather').notes) == n

@pytest.mark.parametrize('suffix', ['csv', 'parquet', 'xlsx', 'jsonl', 'feather'])
def test_numbers_that_are_texts_in_a_file_are_told(suffix, tmp_path):
    texts = pd.DataFrame(dict(code=['10', '20', '+490']*20, acct=[str(1000 + 7*i) for i in range(60)], b=few))
    data = table(written(texts, tmp_path/f't.{suffix}'))
    assert data.columns[0].values == ('+490', '10', '20') and any("'code' has numbers that begin with +: read as text" in o for o in data.notes)
    assert ("'acct' holds numbers as texts: it comes back as numbers" in data.notes) == (suffix != 'csv')
    for cells, values in ((['+3', '-2', '0'], (-2, 0, 3)), (['+3', '+.5', '0'], None)):
        signed = table(written(texts.assign(code=cells*20), tmp_path/f't.{suffix}'))
        assert signed.columns[0].values == values if values else signed.columns[0].kind == 'number'

def test_a_refusal_of_numbers_as_written_says_how_to_have_them_as_numbers():
    with pytest.raises(ValueError, match=r"""if these are quantities, kinds=\{'c': "whole"\} says so; drop"""): table(pd.DataFrame(dict(c=[f'+{i*i}' for i in range(60)], b=few)))

@pytest.mark.parametrize('header, names', [('a,,column 2', ['a', 'column 2.1', 'column 2']), ('a,,', ['a', 'column 2', 'column 3']), (',a,', ['column 1', 'a', 'column 3'])])
def test_columns_without_a_name_are_called_by_their_place(header, names, tmp_path):
    data = text_table(tmp_path, header + '\n' + ''.join(f'{i*1.1},{i*.3},{i*.7}\n' for i in range(60)))
    assert [c.name for c in data.columns] == names
    again = pd.DataFrame(data.items(data.x).to_numpy(), columns=header.split(','))
    assert torch.allclose(data.scale(again), data.x, atol=1e-5)

def test_several_empty_columns_without_a_name_are_left_out(tmp_path):
    assert [c.name for c in text_table(tmp_path, 'a,b,,\n' + ''.join(f'{i},{i*i},,\n' for i in range(9))).columns] == ['a', 'b']

def test_a_frame_whose_columns_are_called_by_numbers_is_scored_against_itself():
    numbered = pd.DataFrame(rng.normal(size=(60, 3)))
    assert metrics(numbered, numbered)['n'] == 60 and torch.equal(get_data(numbered).scale(numbered), get_data(numbered).x)

@pytest.mark.parametrize('drop, left', [('a, b', ['c', 'd']), ('a, b,d', ['c']), ('d, a, b', ['c']), ('c,d', ['a, b']), (['a, b'], ['c', 'd']), ('c,', ['a, b', 'd'])])
def test_a_name_with_a_comma_is_a_name(drop, left):
    commas = pd.DataFrame({'a, b': few, 'c': few**2, 'd': few**3})
    assert [c.name for c in table(commas, drop=drop).columns] == left
    with pytest.raises(ValueError, match='drop names \'a\', but the columns are "a, b", c, d'): table(commas, drop='a,c')

def test_a_command_takes_a_name_with_a_comma(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({'a, b': few, 'c': few**2, 'd': few**3}).to_csv('t.csv', index=False)
    settings = dict(steps=0, device='cpu', engine='eager', batch_size=32, g_hidden='8', d_hidden='8', quiet=True)
    for i, (names, left) in enumerate([('a, b', ['c', 'd']), ('a, b,c', ['d'])]):
        gan_train('t.csv', drop=names, out=f'run{i}', **settings)
        gan_sample(f'run{i}', n=3, out=f's{i}.csv')
        assert [*pd.read_csv(f's{i}.csv').columns] == left
    with pytest.raises((ValueError, SystemExit), match="drop names 'x'"): gan_train('t.csv', drop='c,x', out='other', **settings)

def test_classes_of_a_table_are_those_that_there_are():
    data = table(pd.DataFrame(dict(a=np.arange(40.), kind=[*'xyzz']*10)), label='kind')
    for y in (-1, 3, 1.5, 'x', True, [0, 1, -1], torch.tensor([0, 1, 3])):
        with pytest.raises(ValueError, match='^y must be whole numbers from 0 to 2, not'): data.items(data.x[:3], y)
    with pytest.raises(ValueError, match=r'^y must be one class, or 3, not shape \(2,\)$'): data.items(data.x[:3], [0, 1])
    for y, told in ((1, 'yyy'), ([2, 0, 1], 'zxy'), (np.array([0, 0, 1], np.uint8), 'xxy'), (torch.tensor(0), 'xxx')): assert ''.join(data.items(data.x[:3], y).kind) == told
    assert data.items(data.x[:0], []).empty


@pytest.mark.parametrize('names', [[0, 1, 2, 3], [2020, 2021, 2022, 2023], [.5, 'b', 7, 'd']], ids=str)
@pytest.mark.parametrize('label', [False, True])
def test_columns_called_by_numbers_come_back_by_them(names, label, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({k: rng.normal(size=60) for k in names[:3]} | {names[3]: [*'abc']*20})
    data = get_data(frame, label=names[3] if label else None)
    run = Run(experiment(data, steps=1, batch_size=20, device='cpu', classes=3 if label else None, **{'generator.hidden': [8], 'discriminator.hidden': [8]}), data).fit(1, progress=False)
    run.save(tmp_path/'r')
    gan, there, _ = load_run(tmp_path/'r')
    z, y = gan.draw(20)
    fakes = run.trainer.sample(20)
    for o in (fakes, there.items(gan.generate(z, y), y), Run.open(tmp_path/'r').trainer.sample(20)):
        assert [*o.columns] == [*frame.columns] and [*map(type, o.columns)] == [*map(type, frame.columns.tolist())]
    assert column_distances(fakes, frame).keys() == {*names} and 'distance_' + str(names[0]) in metrics(fakes, data)
    plot_fakes(fakes, data)
    assert (tmp_path/'r/samples.png').exists()
    for suffix in ('csv', 'parquet', 'feather', 'xlsx', 'jsonl'):
        gan_sample(tmp_path/'r', n=5, out=str(tmp_path/f'x.{suffix}'))
        assert (tmp_path/f'x.{suffix}').stat().st_size


def test_columns_called_by_what_no_file_knows_are_told():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)), columns=pd.to_datetime(['2020-01-01', '2021-01-01']))
    data = get_data(frame)
    assert [*data.items(data.x[:1]).columns] == ['2020-01-01 00:00:00', '2021-01-01 00:00:00']
    assert any("they come back as '2020-01-01 00:00:00'" in o for o in data.notes)
    assert not any('come back' in o for o in get_data(frame.set_axis(['', 'b'], axis=1)).notes)


def test_what_comes_back_as_texts_is_noted():
    import datetime, uuid
    day = pd.to_datetime(['2020-01-01', '2020-01-02'])
    odd = dict(time=[datetime.time(1), datetime.time(2)], bytes=[b'a', b'b'], UUID=[uuid.UUID(int=i) for i in (1, 2)],
               Timestamp=pd.Categorical(day), Interval=pd.cut([1., 5.], [0, 3, 6]))
    frame = pd.DataFrame({**{k: [*v]*10 if isinstance(v, list) else v.repeat(10) for k, v in odd.items()},
                          'x': np.random.default_rng(0).normal(size=20), 'text': ['a', 'b']*10, 'date': [o.date() for o in day]*10})
    assert [o for o in table(frame).notes if 'texts' in o] == [f'{k!r} holds values of type {k}: they come back as texts' for k in odd]
