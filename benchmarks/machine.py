"What the benchmarks share: the machine's description, timing by turns, what may fail, runs that are kept, tables."
import json
import platform
import statistics
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from pathlib import Path
from traceback import print_exc


def machine():
    "Processor, threads, GPU and versions in a line"
    import torch
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [o.split(':')[1].strip() for o in lines if o.startswith('model name')]
    n = torch.get_num_threads()
    cpu = f'{names[0] if names else platform.processor()}, {n} thread{"s"*(n != 1)}'
    gpu = f', {torch.cuda.get_device_name()}' if torch.cuda.is_available() else ''
    return f'{cpu}{gpu}, Python {platform.python_version()}, torch {torch.__version__}'


def written(by):
    "The foot of a page whose runs are kept, and are not all of one day"
    return f'Runs of several days and machines, whose seconds do not compare but where a page says so. Written on {machine()}, by `benchmarks/{by}.py`.\n'


def by_turns(runs, rounds):
    """Each of `runs` (name -> function that gives ms) once a round, for `rounds` rounds.

    Gives name -> (median, best, {other: median of the ratios to the other in the same round}).
    """
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items(): times[name].append(run())
    def ratio(ms, others): return statistics.median(a/b for a, b in zip(ms, others))
    return {name: (statistics.median(ms), min(ms), {o: ratio(ms, v) for o, v in times.items()})
            for name, ms in times.items()}


def tried(lost, name, do, *args, **kwargs):
    "What it gives, or None, and then a line in `lost`"
    from gan_nbdev.support.checks import one_line
    try: return do(*args, **kwargs)
    except Exception as e:
        print_exc()
        lost.append(f'- {name}: {type(e).__name__}: {one_line(e)}\n')


def failed(lost):
    "What `tried` has lost, for a page"
    return f'\nThese failed:\n\n{"".join(lost)}'*bool(lost)


def known_in(file):
    "What a JSON file holds"
    return json.loads(file.read_text()) if file.exists() else {}


def put(file, known):
    "Write a JSON file; a kill leaves the old one or the new one"
    new = file.with_suffix('.new')
    new.write_text(json.dumps(known, indent=1) + '\n')
    new.replace(file)


def keep(file, found, *where):
    "`found` at that place of a JSON file, as that is by now"
    known = known_in(file)
    *path, last = where
    of = known
    for k in path: of = of.setdefault(k, {})
    of[last] = found
    put(file, known)


def by_seed(file, run, cases, seeds, processes):
    """What `run(*case, seed)` gives, by the case's words and the seed; each run is in `file` as soon as it is done.

    Those that are there are only read, so what was interrupted goes on; a run that fails costs no other.
    """
    known = known_in(file)
    todo = [(*case, s) for s in range(seeds) for case in cases if str(s) not in known.get(' '.join(case), {})]
    wrong = None
    with ProcessPoolExecutor(processes) as pool:
        asked = {pool.submit(run, *o): o for o in todo}
        for done in as_completed(asked):
            *case, seed = asked[done]
            try: found = done.result()
            except Exception as e:
                print(*case, seed, repr(e), flush=True)
                wrong = wrong or e
                continue
            print(*case, seed, found, flush=True)
            keep(file, found, ' '.join(case), str(seed))
    if wrong: raise wrong
    return known_in(file)


def report(path, head, parts, days=True):
    "Write a page of parts, functions that give '## title …', each with its day; a few renew theirs in the page there"
    old = path.read_text().split('\n## ')[1:] if path.exists() else []
    page = {o.partition('\n')[0]: o.strip() for o in old}
    day = f'\nMeasured on {date.today()}.\n'*days
    for part in parts:
        title, _, rest = part().removeprefix('## ').strip().partition('\n')
        page[title] = f'{title}\n{day}{rest}'
        text = '\n\n'.join([head.strip(), *(f'## {o}' for o in page.values())]) + '\n'
        path.write_text(text)   # whatever comes next, this is kept
        print(text, flush=True)


def spread(values, form='{:.1f}'):
    "Mean ± standard error; of one value, itself"
    from gan_nbdev.all import mean_and_error
    if not values: return '–'
    return ' ± '.join(map(form.format, mean_and_error(values)[:2] if len(values) > 1 else values))


def table(head, rows):
    "Markdown, the first column to the left"
    lines = [head, [':--', *['--:']*(len(head) - 1)], *rows]
    return ''.join(f'| {" | ".join(map(str, o))} |\n' for o in lines)
