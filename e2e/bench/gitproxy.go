package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// gitProxy passes TCP connections on to the Git server, and counts.
type gitProxy struct {
	address string // HOST:PORT
	sent    atomic.Int64
	got     atomic.Int64 // from the Git server

	listener net.Listener
	to       string
	open     sync.Map // net.Conn, both sides'
	running  sync.WaitGroup
}

func newGitProxy(to string) (*gitProxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &gitProxy{address: listener.Addr().String(), listener: listener, to: to}
	p.running.Go(p.serve)
	return p, nil
}

func (p *gitProxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // stop has closed it
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			client.Close()
			continue
		}
		p.running.Go(func() { p.pass(server, client, &p.sent) })
		p.running.Go(func() { p.pass(client, server, &p.got) })
	}
}

// pass copies in one direction until that ends, and then ends the other direction, too.
func (p *gitProxy) pass(to, from net.Conn, count *atomic.Int64) {
	p.open.Store(from, nil)
	defer p.open.Delete(from)
	defer to.Close()
	defer from.Close()
	io.Copy(io.MultiWriter(to, counter{count}), from) //nolint:errcheck // a broken connection is one that has ended
}

type counter struct{ count *atomic.Int64 }

func (c counter) Write(text []byte) (int, error) {
	c.count.Add(int64(len(text)))
	return len(text), nil
}

func (p *gitProxy) stop() {
	p.listener.Close()
	p.open.Range(func(connection, _ any) bool {
		connection.(net.Conn).Close()
		return true
	})
	p.running.Wait()
}
