#!/usr/bin/env python3
"""Checks the rules of the house (ARCHITECTURE.md) that a compiler does not: who may include whom, and what.

A module may include those named behind it, and itself. Prints one line for each breach; exit status 1 when there is one.
"""
import re
import sys

from sources import includes, root, sources

LAYERS = {
    'base': set(),
    'wire': {'base'},
    'sql': {'base'},
    'redis': {'base'},
    'net': {'base', 'wire'},
    }
CAPABILITIES = {'perf', 'cache', 'bus', 'worklist', 'console', 'gateway'}
LAYERS.update({name: {'base', 'wire', 'sql', 'redis'} for name in CAPABILITIES})
LAYERS['headroom'] = set(LAYERS)

# Who joins listening sockets and event loops with logic: nobody below them may know either.
SOCKET_OWNERS = {'net', 'sql', 'redis', 'headroom'}
SOCKET_HEADERS = re.compile(r'^(sys/socket\.h|sys/un\.h|netinet/|arpa/inet\.h|netdb\.h|sys/epoll\.h|boost/(asio|beast)/?)')
COROUTINE_OWNERS = {'net', 'headroom'}
COROUTINE = re.compile(r'\bco_(await|return|yield)\b')
# What makes every file that includes a header slow to compile.
HEAVY_HEADERS = re.compile(r'^(boost/|nlohmann/json\.hpp|regex$|toml\+\+|CLI/)')
README_LINES = 60


def module_of(path):
    parts = path.relative_to(root).parts
    return parts[1] if parts[0] == 'src' and len(parts) > 2 else None


def is_test(path):
    return re.search(r'_(test|bench|fuzz|conformance)\.[ch]pp$', path.name) is not None


def check_file(path):
    module = module_of(path)
    if module not in LAYERS:
        yield '%s is a folder that ARCHITECTURE.md does not name' % module
        return
    own, system = includes(path)
    for include in own:
        yield from check_include(path, module, include)
    for header in system:
        yield from check_system(path, module, header)
    if module not in COROUTINE_OWNERS and COROUTINE.search(path.read_text(encoding='utf-8', errors='replace')):
        yield 'a coroutine; they belong into %s' % ', '.join(sorted(COROUTINE_OWNERS))


def check_include(path, module, include):
    target = include.split('/')[0]
    if '/' not in include:
        yield '"%s" is named without its module' % include
    elif target in LAYERS and target != module and target not in LAYERS[module]:
        yield '"%s": %s may include %s only' % (include, module, ', '.join(sorted(LAYERS[module])) or 'nothing')
    elif '/impl/' in include and target != module:
        yield '"%s" is private to %s' % (include, target)


def check_system(path, module, header):
    if module not in SOCKET_OWNERS and SOCKET_HEADERS.match(header) and not is_test(path):
        yield '<%s>: sockets belong into %s' % (header, ', '.join(sorted(SOCKET_OWNERS)))
    if path.suffix == '.hpp' and 'impl' not in path.parts and not is_test(path) and HEAVY_HEADERS.match(header):
        yield '<%s> is heavy: include it in sources only' % header


def check_readme(module):
    readme = root / 'src' / module / 'README.md'
    if not readme.exists():
        yield 'src/%s: README.md is missing' % module
    elif len(readme.read_text().splitlines()) > README_LINES:
        yield 'src/%s/README.md: more than %d lines' % (module, README_LINES)


def main():
    breaches = []
    modules = set()
    for path in sources('.cpp', '.hpp'):
        module = module_of(path)
        if module:
            modules.add(module)
            breaches += ['%s: %s' % (path.relative_to(root), text) for text in check_file(path)]
    for module in sorted(modules):
        breaches += check_readme(module)
    print('\n'.join(breaches) or '%d modules keep the layers' % len(modules))
    return 1 if breaches else 0


if __name__ == '__main__':
    sys.exit(main())
