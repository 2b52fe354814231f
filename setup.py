"Hands the facts in settings.ini, and the version in gan_nbdev/__init__.py, to setuptools."
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

here = Path(__file__).parent
ini = ConfigParser(delimiters=['='])
ini.read(here/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
version = re.search(r'__version__ = "(.+?)"', (here/'gan_nbdev/__init__.py').read_text()).group(1)
known = re.search(r'^Repository = "(.+?)/?"', (here/'pyproject.toml').read_text(), re.M)

def beside(m):
    "PyPI shows the README alone: what lies beside it gets its address, or only its words where no address is known"
    picture, words, where = m.groups()
    if '://' in where: return m[0]
    return f'{picture}[{words}]({known[1]}/{"raw" if picture else "blob"}/HEAD/{where})' if known else '' if picture else words

statuses = ['', '1 - Planning', '2 - Pre-Alpha', '3 - Alpha', '4 - Beta', '5 - Production/Stable']

setup(
    version=version,
    packages=find_packages(include=['gan_nbdev*']),
    package_data={'gan_nbdev': ['py.typed'], 'gan_nbdev.lab': ['static/*']},
    author=cfg['author'], author_email=cfg['author_email'],
    license_expression=cfg['license'], keywords=cfg['keywords'].split(),
    python_requires=f">={cfg['min_python']}",
    long_description=re.sub(r'(!?)\[([^\]]*)\]\(([^)\s]+)\)', beside, (here/'README.md').read_text(encoding='utf-8')),
    long_description_content_type='text/markdown',
    classifiers=[f"Development Status :: {statuses[int(cfg['status'])]}",
                 'Programming Language :: Python :: 3', 'Typing :: Typed', 'Framework :: Jupyter',
                 'Topic :: Scientific/Engineering :: Artificial Intelligence',
                 *(f'Intended Audience :: {o.strip()}' for o in cfg['audience'].split(','))],
    install_requires=cfg['requirements'].split(),
    extras_require={o: cfg[f'{o}_requirements'].split() for o in ('lab', 'tables', 'metrics', 'parallel', 'cluster', 'dev')},
    entry_points={'console_scripts': cfg['console_scripts'].split('\n'),
                  'nbdev': ['gan_nbdev=gan_nbdev._modidx:d']},
)
