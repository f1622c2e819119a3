// The peer: a fixed window on one key in Redis, behind the fastest common HTTP framework of its world.
import Fastify from 'fastify'
import Redis from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'

const limiter = new RateLimiterRedis({
  storeClient: new Redis(process.env.REDIS_SOCKET, { enableOfflineQueue: true }),
  points: 1e12,
  duration: 60,
  keyPrefix: 'peer',
})
const app = Fastify()
app.get('/livez', async () => ({ status: 'ok' }))
app.post('/consume', async (request, reply) => {
  try {
    const { remainingPoints, msBeforeNext } = await limiter.consume(request.body.key, request.body.cost)
    return { decision: 'granted', remaining: remainingPoints, reset_after_ms: msBeforeNext }
  } catch (refusal) {
    if (refusal instanceof Error) throw refusal
    return { decision: 'denied', retry_after_ms: refusal.msBeforeNext }
  }
})
await app.listen({ host: '127.0.0.1', port: 0 })
console.error(JSON.stringify({ address: `127.0.0.1:${app.server.address().port}` }))
