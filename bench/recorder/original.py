"""The original analyzer's way of recording, rebuilt from its description: every fact a synchronous trip to Redis.

Five trips when a call begins, four when it ends, four for each statement, none of them pipelined. It is flattered in
one point: the original opened a new connection for each call, this keeps one.
"""
import time

import redis

TRIPS_ON_ENTER, TRIPS_ON_LEAVE, TRIPS_PER_STATEMENT = 5, 4, 4


class OriginalRecorder:

    def __init__(self, port, session):
        self.redis = redis.Redis(port=port)
        self.session = session
        self.method = None
        self.call = None
        self.began = 0.0

    def enter(self, user, method):
        now = time.time()
        self.began, self.method = now, method
        rank = self.redis.hincrby('s:' + self.session, 'nb', 1)
        self.call = 'c:%s:%d' % (self.session, rank)
        self.redis.hsetnx('s:' + self.session, 'first', now)
        self.redis.hset('s:' + self.session, mapping={'user': user, 'last': now})
        self.redis.hset(self.call, mapping={'method': method, 'dt': now})
        self.redis.zincrby('m:n:' + self.session, 1, method)

    def statement(self, table, seconds):
        self.redis.hincrby(self.call, 'db_nb', 1)
        self.redis.hincrbyfloat(self.call, 'db_tm', seconds)
        self.redis.zincrby('t:n:' + self.session, 1, table)
        self.redis.zincrby('t:t:' + self.session, seconds, table)

    def leave(self):
        seconds = time.time() - self.began
        self.redis.hset(self.call, 'tm', seconds)
        self.redis.hincrbyfloat('s:' + self.session, 'tm', seconds)
        self.redis.zincrby('m:t:' + self.session, seconds, self.method)
        self.redis.hset('s:' + self.session, 'last', time.time())


def trips(port):
    """How many commands the server has run, this question included."""
    return redis.Redis(port=port).info('stats')['total_commands_processed']
