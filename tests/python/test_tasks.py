"""Tasks of the queue and scheduled tasks."""
import os
import pickle
import sys

import fake_native
import pytest


@pytest.fixture
def job(server, rules):
    """Lets a task call a function of the test: job(function) enqueues it and gives its id."""
    from trytond.pool import Pool
    from trytond.transaction import Transaction
    User = Pool(server.name).get("res.user")

    def enqueue(function):
        User.headroom_job = classmethod(lambda cls, users: function())
        with Transaction().start(server.name, 0):
            Queue = Pool().get("ir.queue")
            task = Queue.push("default", {"model": "res.user", "method": "headroom_job", "user": 1, "context": {},
                "instances": [1], "args": [], "kwargs": {}})
            Transaction().tasks.clear()
        rules.reset()
        return task

    yield enqueue
    # A task that failed was rescheduled, and waits for the next call of this thread.
    Transaction().tasks.clear()
    if hasattr(User, "headroom_job"):
        del User.headroom_job


def collide():
    from trytond import backend
    raise backend.DatabaseOperationalError("database is locked")


def test_a_task_is_one_call_named_by_what_it_runs(job, server, journal):
    from trytond import worker
    ran = []
    worker.run_task(server.name, job(lambda: ran.append(fake_native.current().entry["method"])))
    entry, = journal
    assert (entry["kind"], entry["method"], entry["database"]) == ("task", "model.res.user.headroom_job", "test")
    assert (entry["closed"], entry["attempts"], entry["errors"], entry["verified"]) == (1, 1, [], [(1, None)])
    assert ran == ["model.res.user.headroom_job"] and fake_native.current() is None
    assert any("ir_queue" in statement for statement in entry["sql"])


def test_the_login_of_a_task_is_read_in_its_own_transaction(job, server, journal, rules):
    from headroom import attach
    from trytond import worker
    task = job(lambda: None)
    attach._hooks.logins._known.clear()
    rules.login_needed_ = True
    worker.run_task(server.name, task)
    assert journal[0]["verified"] == [(1, "admin")]


def test_a_task_that_fails_is_recorded_though_trytond_swallows_the_error(job, server, journal):
    from trytond import worker
    worker.run_task(server.name, job(lambda: 1 / 0))
    assert (journal[0]["errors"], journal[0]["closed"]) == ([("exception", "ZeroDivisionError")], 1)


def test_a_task_that_succeeds_in_its_second_attempt_has_not_failed(job, server, journal):
    from trytond import worker
    runs = []
    worker.run_task(server.name, job(lambda: runs.append(1) or len(runs) > 1 or collide()))
    assert (journal[0]["errors"], journal[0]["attempts"], len(journal)) == ([], 2, 1)


def test_a_task_that_always_collides_is_a_collision(job, server, journal):
    from trytond import worker
    worker.run_task(server.name, job(collide))
    assert (journal[0]["errors"], journal[0]["attempts"]) == ([("concurrency", "OperationalError")], 3)


def test_a_task_that_was_rolled_back_is_one_call_without_a_name(server, journal, rules):
    from trytond import worker
    rules.reset()
    worker.run_task(server.name, 10 ** 6)
    assert [(entry["method"], entry["closed"]) for entry in journal] == [("task", 1)]


def test_a_task_inside_a_call_is_a_call_of_its_own(client, server, journal):
    from trytond.pool import Pool
    from trytond.rpc import RPC
    User = Pool(server.name).get("res.user")
    User.headroom_job = classmethod(lambda cls, users: None)
    User.headroom_enqueue = classmethod(lambda cls: cls.__queue__.headroom_job([cls(1)]) and None)
    User.__rpc__["headroom_enqueue"] = RPC(readonly=False)
    try:
        assert "error" not in client.rpc("model.res.user.headroom_enqueue", {}).json
    finally:
        del User.headroom_job, User.headroom_enqueue, User.__rpc__["headroom_enqueue"]
    call, task = journal
    assert (call["kind"], task["kind"], task["method"]) == ("rpc", "task", "model.res.user.headroom_job")
    assert task["parent"] is call and call["closed"] == task["closed"] == 1


def test_every_reference_to_run_task_is_hooked_and_can_be_sent_to_another_process(server):
    from trytond import worker
    assert pickle.loads(pickle.dumps(worker.run_task)) is worker.run_task
    for name in ("trytond.protocols.dispatcher", "trytond.ir.cron"):
        assert sys.modules[name].run_task is worker.run_task


def test_a_child_of_multiprocessing_writes_its_records_after_each_task_and_at_its_end(job, server):
    import multiprocessing
    from trytond import worker
    task = job(lambda: None)
    context = multiprocessing.get_context("fork")
    reading, writing = os.pipe()

    def child():
        fake_native.flushed.clear()
        worker.run_task(server.name, task)
        os.write(writing, b"flushed" if fake_native.flushed else b"kept")

    stop = fake_native.stop
    # The child's finalizer takes the function from the module when it starts.
    fake_native.stop = lambda timeout: os.write(writing, b" stopped")
    try:
        process = context.Process(target=child)
        process.start()
        process.join(60)
    finally:
        fake_native.stop = stop
    assert process.exitcode == 0
    assert os.read(reading, 100) == b"flushed stopped"
    os.close(reading), os.close(writing)


@pytest.fixture
def cron(server, rules):
    """Makes one scheduled task that calls a function of the test and runs what is due."""
    from trytond.pool import Pool
    from trytond.transaction import Transaction
    pool = Pool(server.name)
    Cron, User = pool.get("ir.cron"), pool.get("res.user")
    Cron.method.selection.append(("res.user|headroom_tick", "Test"))

    def run(function):
        User.headroom_tick = classmethod(lambda cls: function())
        with Transaction().start(server.name, 0):
            Cron.write(Cron.search([]), {"active": False})
            Cron.create([{"interval_number": 1, "interval_type": "days", "method": "res.user|headroom_tick"}])
        rules.reset()
        Cron.run(server.name)

    yield run
    Cron.method.selection.pop()
    del User.headroom_tick


def test_a_scheduled_task_is_one_call_named_by_its_method(cron, journal):
    cron(lambda: None)
    entry, = journal
    assert (entry["kind"], entry["method"], entry["database"]) == ("cron", "res.user|headroom_tick", "test")
    assert (entry["closed"], entry["attempts"], entry["errors"], entry["verified"]) == (1, 1, [], [(0, None)])
    assert entry["commits"] and fake_native.current() is None


def test_the_retries_of_a_scheduled_task_are_attempts_of_one_call(cron, journal):
    runs = []
    cron(lambda: runs.append(1) or len(runs) > 1 or collide())
    assert [(entry["attempts"], entry["errors"], entry["closed"]) for entry in journal] == [(2, [], 1)]


def test_a_scheduled_task_that_fails_is_recorded_though_trytond_swallows_the_error(cron, journal):
    cron(lambda: 1 / 0)
    assert [(entry["errors"], entry["closed"]) for entry in journal] == [([("exception", "ZeroDivisionError")], 1)]


def test_a_run_that_breaks_off_closes_its_call(cron, journal):
    def leave():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cron(leave)
    assert [entry["closed"] for entry in journal] == [1] and fake_native.current() is None
