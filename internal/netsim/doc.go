// Package netsim is an in-memory datagram network for tests: unicast and
// multicast between any number of addresses, with loss, duplication,
// reordering and delay, and with full control of single datagrams.
//
// A [Network] hands out [Conn] values with [Network.Listen] (a unicast socket)
// and [Network.ListenGroup] (a socket bound to a multicast group). The methods
// of Network and Conn have the shapes that package endpoint wants from a
// network, so a test gives the Network to the endpoint in place of real
// sockets:
//
//	n := netsim.New(netsim.Config{Delay: 20 * time.Millisecond})
//	ep, err := endpoint.New(endpoint.Config{Network: n, Unicast: addr})
//
// Random faults come from [Config]; they are drawn from a generator with a
// fixed seed, so that a run repeats. Chosen faults come from a filter
// ([Network.SetFilter]) that sees every datagram in sending order and decides
// what happens to it.
//
// Delivery is scheduled with the time package. Inside a testing/synctest
// bubble that is fake time: a test of a retransmission that lasts a minute
// takes no time at all.
package netsim
