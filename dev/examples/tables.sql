-- The tables that the examples read, with a few rows: psql -f tables.sql "$DATABASE_URL"
create table customers (
    id bigint primary key,
    name text not null,
    country char(2) not null,
    since date not null
);
insert into customers
select i, 'Customer ' || i, (array['DE', 'FR', 'NP'])[1 + i % 3], date '2020-01-01' + i
from generate_series(1, 300) i;

create table orders (
    id bigint primary key,
    customer_id bigint not null references customers,
    status text not null,
    amount numeric(12, 2) not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz
);
insert into orders
select i, 1 + i % 300, (array['new', 'paid', 'shipped'])[1 + i % 3], i * 1.01,
       timestamptz '2026-01-01 00:00+00' + i * interval '1 minute',
       case when i % 10 > 0 then timestamptz '2026-01-02 00:00+00' + i * interval '1 minute' end
from generate_series(1, 5000) i;
create index on orders (updated_at);

create table products (
    sku text primary key,
    title text,
    price numeric,
    weight double precision,
    stock bigint,
    valid_until date,
    attributes jsonb,
    photo bytea
);
insert into products
select 'P-' || i, case when i % 7 > 0 then 'Product; no. ' || i end, i * 0.125, i / 8.0, i,
       case when i % 2 = 0 then date 'infinity' else date '2027-01-01' end,
       jsonb_build_object('colour', 'red', 'size', i), decode(md5(i::text), 'hex')
from generate_series(1, 100) i;

create table events (
    id bigint generated always as identity,
    at timestamptz not null,
    kind text not null,
    payload jsonb not null
);
insert into events (at, kind, payload)
select timestamptz '2026-01-01 00:00+00' + i * interval '1 second', 'click', jsonb_build_object('n', i)
from generate_series(1, 220000) i;

create type device_state as enum ('on', 'off');
create table devices (
    id uuid primary key,
    state device_state not null
);
insert into devices values ('11111111-2222-3333-4444-555555555555', 'on'), ('11111111-2222-3333-4444-666666666666', 'off');
analyze;
