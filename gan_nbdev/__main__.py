"`python -m gan_nbdev train …` works as the command `gan-train …` does"
import sys
from importlib import import_module

commands = dict(train='cli', sample='cli', eval='cli', study='study_command')   # its module

name = sys.argv[1] if len(sys.argv) > 1 else '--help'
if name not in commands:
    usage, asked = f'usage: python -m gan_nbdev {{{",".join(commands)}}} ...', name in ('-h', '--help')
    print(usage, file=sys.stdout if asked else sys.stderr)
    sys.exit(0 if asked else 2)
sys.argv[:2] = [f'gan-{name}']
command = getattr(import_module(f'gan_nbdev.{commands[name]}'), f'gan_{name}')
sys.exit(command())
