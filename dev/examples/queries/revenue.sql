select c.country, count(*) as orders, sum(o.amount) as revenue
from public.orders o
join public.customers c on c.id = o.customer_id
where o.created_at >= '${since}'::date
  and c.country = '${country}'
group by c.country
