"""A screen that nobody looks at: Xvfb (Debian: xvfb), whose picture is read from the file in which it keeps it."""
import signal
import struct
import zlib
from pathlib import Path

from .process import Process

SOCKETS = Path('/tmp/.X11-unix')


class Display:
    """`name` is for the variable DISPLAY."""

    def __init__(self, folder, width=1280, height=800):
        number = next(one for one in range(90, 200) if not (SOCKETS / ('X%d' % one)).exists())
        self.name = ':%d' % number
        self._picture = folder / 'Xvfb_screen0'
        self.process = Process('xvfb', ['Xvfb', self.name, '-screen', '0', '%dx%dx24' % (width, height), '-fbdir', folder, '-nocursor', '-nolisten', 'tcp'],
            folder, ready=(SOCKETS / ('X%d' % number)).exists, stop_signal=signal.SIGTERM)

    def save(self, path):
        """What is on the screen now, as a PNG."""
        Path(path).write_bytes(png(*pixels(self._picture.read_bytes())))


def pixels(dump):
    """Width, height and the rows (RGB) of a window dump (X11/XWDFile.h): 32 bits a pixel, the blue one first."""
    fields = struct.unpack('>25I', dump[:100])
    width, height, stride, colors = fields[4], fields[5], fields[12], fields[19]
    start = fields[0] + 12 * colors
    rows = []
    for row in range(height):
        line = dump[start + row * stride:start + row * stride + 4 * width]
        rgb = bytearray(3 * width)
        rgb[0::3], rgb[1::3], rgb[2::3] = line[2::4], line[1::4], line[0::4]
        rows.append(bytes(rgb))
    return width, height, rows


def png(width, height, rows):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    data = zlib.compress(b''.join(b'\0' + row for row in rows), 9)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)) + chunk(b'IDAT', data) + chunk(b'IEND', b'')
