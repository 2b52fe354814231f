"""What some tests need and not every machine has, as markers: `@pytest.mark.gpu`.

Where it is missing the test is skipped with the reason; it fails instead if `GAN_REQUIRE`
(names, with commas) says that it must be there.
"""
import gc, os, psutil, pytest, signal, sys
from contextlib import suppress

gc.set_threshold(*gc.get_threshold()[:2], 1000)   # among what lasts, tests leave no garbage worth the time

os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')   # for deterministic algorithms

# A shell's job in the background ignores Ctrl-C, and so would all that is begun here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN: signal.signal(signal.SIGINT, signal.default_int_handler)

def _gpu():
    import torch
    return None if torch.cuda.is_available() else 'torch sees no CUDA device'

needs = {'gpu': _gpu}   # name -> reason why it is missing, or None

def required():
    "Names in `GAN_REQUIRE`"
    names = {o.strip() for o in os.environ.get('GAN_REQUIRE', '').split(',')} - {''}
    wrong = sorted(names - needs.keys())
    if wrong: raise pytest.UsageError(f'GAN_REQUIRE: {wrong} not among {sorted(needs)}')
    return names

def pytest_configure(config):
    required()
    for name in needs:
        config.addinivalue_line('markers', f'{name}: needs a {name}; skipped without one')

@pytest.fixture(autouse=True)
def seeded():
    "What a test draws without a seed of its own is the same each time, and no figure stays open"
    from commands import seed_all
    seed_all()
    yield
    if plt := sys.modules.get('matplotlib.pyplot'): plt.close('all')   # it warns of the twentieth that is open

def pytest_runtest_setup(item):
    for name in needs:
        if item.get_closest_marker(name) and (why := needs[name]()):
            if name in required(): pytest.fail(f'GAN_REQUIRE={name}, but {why}', pytrace=False)
            pytest.skip(f'needs a {name}: {why}')

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    "What a test that fails has begun does not go on beside the others"
    def begun(): return {*psutil.Process().children(recursive=True)}
    before = begun()
    try: return (yield)
    except BaseException:
        for p in begun() - before:
            with suppress(psutil.NoSuchProcess): p.kill()
        raise

# Files run side by side, each by one process: those that take longest begin first.
long = ('test_notebooks', 'test_lab_browser', 'test_engines', 'test_explorer_browser', 'test_cli', 'test_games', 'test_study',
        'test_checkpoints', 'test_parallel', 'test_interrupts', 'test_lab', 'test_lessons', 'test_project', 'test_film_browser', 'test_tied')

def pytest_collection_modifyitems(items):
    order = {name: i for i, name in enumerate(long)}
    items.sort(key=lambda o: order.get(o.path.stem, len(long)))

def pytest_collection_finish():
    "What is there for good by now is not looked through for garbage again and again"
    gc.freeze()
