"""What the module headroom_worklist shows in SAO; the story is a Node program beside this file."""
import json

import programs
from conftest import pictures
from sites import WorkSite


def test_my_work_shows_a_users_tabs_with_their_numbers_and_leads_to_the_documents(servers):
    site = WorkSite(servers)
    environment = {'HEADROOM_SAO': json.dumps(site.sao), 'HEADROOM_PICTURES': str(pictures())}
    assert programs.run('worklist_sao.mjs', site, environment), 'worklist_sao.mjs failed; its pictures are in %s' % pictures()
