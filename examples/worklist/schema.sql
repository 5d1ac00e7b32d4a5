-- The tables of the example, for PostgreSQL, MariaDB and SQLite alike: psql -d shop -f schema.sql, mariadb shop < schema.sql, or
-- sqlite3 shop.sqlite < schema.sql

CREATE TABLE app_user (id integer PRIMARY KEY, login varchar(80) NOT NULL, department varchar(80), active boolean);
CREATE TABLE user_role (user_id integer NOT NULL, role varchar(80) NOT NULL);
CREATE TABLE user_group (user_id integer NOT NULL, name varchar(80) NOT NULL);
-- A security uid stands for the set of users that may see a document; here one for each office.
CREATE TABLE user_security (user_id integer NOT NULL, uid integer NOT NULL, role varchar(80));

CREATE TABLE party (id integer PRIMARY KEY, name varchar(80), region varchar(80));
CREATE TABLE sale (id integer PRIMARY KEY, state varchar(80), reference varchar(80), total numeric(12, 2), due_date date,
  party integer REFERENCES party (id), owner integer, security_uid integer);
CREATE TABLE invoice (id integer PRIMARY KEY, type varchar(80), state varchar(80), due_date date, security_uid integer);

INSERT INTO app_user VALUES (1, 'anna', 'sales', true), (2, 'bob', 'sales', true), (3, 'carla', 'accounting', true);
INSERT INTO user_role VALUES (1, 'Manager'), (1, 'Salesman'), (2, 'Salesman'), (3, 'Accountant');
INSERT INTO user_group VALUES (1, 'north'), (2, 'north'), (3, 'accounting');
INSERT INTO user_security VALUES (1, 10, 'Salesman'), (1, 11, NULL), (1, 12, NULL), (2, 10, 'Salesman'), (2, 13, NULL),
  (3, 11, 'Accountant'), (3, 12, 'Accountant');

INSERT INTO party VALUES (1, 'Ash', 'north'), (2, 'Birch', 'south'), (3, 'Cedar', NULL);
INSERT INTO sale VALUES
  (1, 'draft', 'S/001', 120.00, '2020-05-01', 1, 1, 10),
  (2, 'draft', 'S/002', 980.50, '2999-01-01', 2, 2, 10),
  (3, 'draft', NULL, 2500.00, '2020-06-01', 1, 2, 11),
  (4, 'draft', 'S/004', NULL, NULL, 3, NULL, 12),
  (5, 'confirmed', 'S/005', 5000.00, '2020-07-01', 1, 1, 13),
  (6, 'confirmed', 'S/006', 10.00, '2999-01-01', 2, 2, 13),
  (7, 'done', 'S/007', 75.00, '2020-01-01', 2, 1, NULL),
  (8, NULL, 'OLD-8', 1.00, '2010-01-01', NULL, NULL, 11),
  (9, 'draft', 'S/009', 3.00, '2999-01-01', 2, 3, NULL),
  (10, 'quotation', 'S/010', 1000.00, '2020-02-29', 1, NULL, 10);
INSERT INTO invoice VALUES
  (1, 'out', 'draft', '2999-01-01', 11), (2, 'out', 'posted', '2020-03-01', 11), (3, 'in', 'posted', '2020-03-01', 12),
  (4, 'out_credit', 'posted', '2999-01-01', 12), (5, 'in', 'paid', '2020-01-01', 11), (6, 'out', 'posted', NULL, 10);
