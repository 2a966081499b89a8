-- Tables of the acceptance plan, on a MariaDB. What begins with a colon is filled in before.
create database rivet character set utf8mb4;
create user rivet identified by 'rivet';
grant all on rivet.* to rivet;
use rivet;
create table users (
    id bigint primary key,
    name varchar(100) not null,
    email varchar(200) not null,
    age int,
    balance decimal(12, 2),
    is_active tinyint(1) not null,
    bio text,
    created_at timestamp not null,
    updated_at timestamp not null,
    key (updated_at)
);
insert into users
select seq, concat('User ', seq), concat('user', seq, '@example.com'), if(seq % 10 > 0, 18 + seq % 60, null), seq * 1.25,
       seq % 5 > 0, if(seq % 3 > 0, repeat(md5(seq), 2), null),
       '2025-01-01' + interval seq * 7 minute, '2025-06-01' + interval seq * 5 minute
from seq_1_to_:users;
create table orders (
    id bigint primary key,
    user_id bigint not null references users (id),
    product varchar(100) not null,
    quantity int not null,
    price decimal(10, 2) not null,
    status enum('new', 'paid', 'shipped', 'returned') not null,
    ordered_at timestamp not null,
    updated_at timestamp not null,
    key (updated_at)
);
insert into orders
select seq, 1 + seq % :users, concat('Product ', seq % 500), 1 + seq % 7, (seq % 10000) * 0.37, 1 + seq % 4,
       '2025-01-01' + interval seq minute, '2025-01-02' + interval seq minute
from seq_1_to_:orders;
analyze table users, orders;
