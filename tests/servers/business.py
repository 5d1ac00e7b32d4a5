"""Fills a new Tryton database with a small company: python3 business.py TRYTOND_CONF DATABASE

A company with a chart of accounts and a fiscal year, parties, products with prices and stock, and draft sales with
enough lines that work done once a line shows. Run in a process of its own, since trytond keeps one configuration.
"""
import datetime
import os
import sys
from decimal import Decimal

PARTIES = 40
PRODUCTS = 30
SALES = 4
LINES = 25


def main(configuration, database):
    from proteus import config
    os.environ['DB_NAME'] = database  # the tools below live beside trytond's own tests, which insist on it
    current = config.set_trytond(database=database, config_file=configuration)
    from trytond.modules.company.tests.tools import create_company, get_company
    create_company()
    company = get_company()
    employee(current, company)
    accounts = bookkeeping(company)
    customers = parties()
    goods = products(accounts)
    stock(goods)
    term = payment_term()
    sales(database, current, company, customers, goods, term)


def employee(current, company):
    from proteus import Model
    User = Model.get('res.user')
    person = Model.get('party.party')(name='Pam Beesly')
    person.save()
    worker = Model.get('company.employee')(party=person, company=company)
    worker.save()
    user = User(current.user)
    user.employees.append(worker)
    user.employee = worker
    user.save()
    current._context = User.get_preferences(True, {})


def bookkeeping(company):
    from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts
    from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
    year = set_fiscalyear_invoice_sequences(create_fiscalyear(company))
    year.click('create_period')
    create_chart(company)
    return get_accounts(company)


def parties():
    from proteus import Model
    Party = Model.get('party.party')
    made = [Party(name='Customer %02d' % number) for number in range(1, PARTIES + 1)]
    Party.save(made)
    return made


def products(accounts):
    from proteus import Model
    unit, = Model.get('product.uom').find([('name', '=', 'Unit')])
    category = Model.get('product.category')(name='Goods', accounting=True)
    category.account_expense, category.account_revenue = accounts['expense'], accounts['revenue']
    category.save()
    Template = Model.get('product.template')
    made = []
    for number in range(1, PRODUCTS + 1):
        template = Template(name='Paper %02d' % number, type='goods', default_uom=unit)
        template.salable = True
        template.list_price = Decimal(5 + number)
        template.account_category = category
        made.append(template)
    Template.save(made)
    return [template.products[0] for template in made]


def stock(goods):
    from proteus import Model
    Location = Model.get('stock.location')
    storage, = Location.find([('code', '=', 'STO')])
    inventory = Model.get('stock.inventory')(location=storage)
    for product in goods:
        inventory.lines.new(product=product, quantity=1000.0, expected_quantity=0.0)
    inventory.click('confirm')


def payment_term():
    from trytond.modules.account_invoice.tests.tools import create_payment_term
    term = create_payment_term()
    term.save()
    return term


def sales(database, current, company, customers, goods, term):
    """Through the models inside the server: proteus would ask it about every line."""
    from trytond.pool import Pool
    from trytond.transaction import Transaction
    drafts = [draft(company, customer, goods, term) for customer in customers[:SALES]]
    with Transaction().start(database, current.user, context=current.context):
        Pool().get('sale.sale').create(drafts)


def draft(company, customer, goods, term):
    address = customer.addresses[0].id
    return {
        'company': company.id,
        'party': customer.id,
        'invoice_address': address,
        'shipment_address': address,
        'payment_term': term.id,
        'currency': company.currency.id,
        'sale_date': datetime.date.today(),
        'lines': [('create', [sale_line(goods[number % len(goods)], number) for number in range(LINES)])],
        }


def sale_line(product, number):
    return {
        'type': 'line',
        'product': product.id,
        'unit': product.default_uom.id,
        'quantity': 1.0 + number % 5,
        'unit_price': Decimal(10 + number),
        'description': product.rec_name,
        }


if __name__ == '__main__':
    main(*sys.argv[1:])
