"""The bus as tabs use it; each test is a Node program beside this file, and two of them run at a time: each waits more than it works."""
import json
from concurrent.futures import ThreadPoolExecutor

import programs
import pytest
from conftest import pictures
from servers import Servers
from servers.database import PASSWORD
from sites import KEY, SECOND, Bus, SaoSite

AT_ONCE = 2


def play_alone(servers, name, say):
    bus = Bus(servers)
    bus.start()
    return programs.run(name, bus, {'HEADROOM_URL': bus.url, 'HEADROOM_BUS_KEY': KEY}, say=say)


def play_beside_tryton(servers, name, say):
    site = SaoSite(servers)
    sao = {'address': site.address, 'database': site.tryton.database, 'people': [['admin', PASSWORD], SECOND]}
    with site.notifier:
        return programs.run(name, site, {'HEADROOM_URL': site.url, 'HEADROOM_SAO': json.dumps(sao)}, say=say)


# By test; the longest first.
STORIES = {
    'test_twenty_tabs_of_sao_have_one_connection_and_handle_a_notification_once': ('bus_sao.mjs', play_beside_tryton),
    'test_twenty_tabs_have_one_connection_and_a_dead_or_frozen_one_harms_nobody': ('bus_tabs.mjs', play_alone),
    'test_users_never_share_and_pages_over_plain_http_or_left_behave': ('bus_users.mjs', play_alone),
    'test_what_was_acknowledged_is_seen_or_said_to_be_lost_when_server_or_network_fail': ('bus_server.mjs', play_alone),
    'test_a_tab_that_stands_still_harms_nobody_and_gets_what_it_missed': ('bus_stuck.mjs', play_alone),
    'test_a_side_effect_runs_in_one_tab_first_of_all_in_the_one_that_is_looked_at': ('bus_once.mjs', play_alone),
}


def play(test):
    """Whether the test's program ended well, and what it said; with servers of its own."""
    name, play_it = STORIES[test]
    said = []
    with Servers() as servers:
        well = play_it(servers, name, said.append)
        if not well:
            servers.stop()
            servers.save_logs(pictures() / 'servers' / test)
    left = [process.name for process in servers.processes if process.group_exists()]
    assert not left, 'processes left behind: %s' % left
    return well, said


@pytest.fixture(scope='module')
def stories(request):
    """Those of the tests that were chosen."""
    chosen = {item.originalname for item in request.session.items}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {test: pool.submit(play, test) for test in STORIES if test in chosen}


@pytest.fixture
def played(stories, request):
    well, said = stories[request.node.originalname].result()
    print('\n'.join(said))
    return well


def test_twenty_tabs_have_one_connection_and_a_dead_or_frozen_one_harms_nobody(played):
    assert played


def test_a_tab_that_stands_still_harms_nobody_and_gets_what_it_missed(played):
    assert played


def test_what_was_acknowledged_is_seen_or_said_to_be_lost_when_server_or_network_fail(played):
    assert played


def test_users_never_share_and_pages_over_plain_http_or_left_behave(played):
    assert played


def test_a_side_effect_runs_in_one_tab_first_of_all_in_the_one_that_is_looked_at(played):
    assert played


def test_twenty_tabs_of_sao_have_one_connection_and_handle_a_notification_once(played):
    assert played
