"""The bus as tabs use it; each test is a Node program beside this file."""
import json

import programs
from servers.database import PASSWORD
from sites import KEY, SECOND, Bus, SaoSite


def browse(bus, name):
    bus.start()
    environment = {'HEADROOM_URL': bus.url, 'HEADROOM_BUS_KEY': KEY}
    assert programs.run(name, bus, environment), '%s failed' % name


def test_twenty_tabs_have_one_connection_and_a_dead_or_frozen_one_harms_nobody(servers):
    browse(Bus(servers), 'bus_tabs.mjs')


def test_a_tab_that_stands_still_harms_nobody_and_gets_what_it_missed(servers):
    browse(Bus(servers), 'bus_stuck.mjs')


def test_what_was_acknowledged_is_seen_or_said_to_be_lost_when_server_or_network_fail(servers):
    browse(Bus(servers), 'bus_server.mjs')


def test_users_never_share_and_pages_over_plain_http_or_left_behave(servers):
    browse(Bus(servers), 'bus_users.mjs')


def test_a_side_effect_runs_in_one_tab_first_of_all_in_the_one_that_is_looked_at(servers):
    browse(Bus(servers), 'bus_once.mjs')


def test_twenty_tabs_of_sao_have_one_connection_and_handle_a_notification_once(servers):
    site = SaoSite(servers)
    sao = {'address': site.address, 'database': site.tryton.database, 'people': [['admin', PASSWORD], SECOND]}
    with site.notifier:
        environment = {'HEADROOM_URL': site.url, 'HEADROOM_SAO': json.dumps(sao)}
        assert programs.run('bus_sao.mjs', site, environment), 'bus_sao.mjs failed'
