"""The page of the work lists as an administrator, a viewer and a user with his token see it; the stories are Node programs beside this file."""
import json

import company as companies
import programs
import pytest
import world as worlds
from conftest import pictures
from servers import Servers


@pytest.fixture(scope='module')
def company():
    with Servers() as servers:
        yield companies.Company(servers, companies.HOSTILE)
        servers.stop()
        servers.save_logs(pictures() / 'servers')


def browse(company, name):
    environment = {'HEADROOM_URL': company.url, 'HEADROOM_TOKEN': worlds.TOKEN, 'HEADROOM_PICTURES': str(pictures()),
        'HEADROOM_PEOPLE': json.dumps(worlds.PEOPLE), 'HEADROOM_BUS_KEY': companies.KEY}
    assert programs.run(name, company, environment), '%s failed; its pictures are in %s' % (name, pictures())


def test_numbers_follow_the_database_and_nobody_sees_those_of_another(company):
    browse(company, 'worklist_page.mjs')


def test_titles_and_addresses_of_lists_are_shown_as_text(company):
    browse(company, 'worklist_hostile.mjs')


def test_the_views_of_the_work_lists_are_accessible_and_fit_in_both_themes_and_widths(company):
    browse(company, 'worklist_look.mjs')


def test_a_service_without_work_lists_says_how_to_turn_them_on(servers):
    browse(companies.Company(servers, on=False), 'worklist_off.mjs')
