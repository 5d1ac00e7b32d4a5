def test_a(client, journal, rules):
    r = client.rpc("model.res.user.read", [1], ["login"], {})
    print(r.status, r.json)
    for e in journal: print({k: v for k, v in e.items() if k not in ('sql',)}, len(e['sql']))
    print(rules.started)
    r = client.http.get("/page.html"); print(r.status, r.data)
    print(journal[-1])
