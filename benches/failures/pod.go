// A pod's server whose manner is set by lines on standard input: normal, slow, refuse, close.
//
// It ends with its standard input.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

var (
	address = flag.String("address", "", "address and port")
	name    = flag.String("name", "", "what it answers")
	work    = flag.Duration("work", 0, "time that one request keeps a worker")
	far     = flag.Duration("far", 0, "time that a request is on its way, beside that")
	workers = flag.Int("workers", 4096, "requests that are worked at, at one time")
)

// How much longer one request takes when it is slow.
const slowness = 20

type pod struct {
	sync.Mutex
	manner   string
	listener net.Listener
	open     map[net.Conn]bool
	places   chan struct{}
}

func main() {
	flag.Parse()
	it := &pod{manner: "refuse", open: map[net.Conn]bool{}, places: make(chan struct{}, *workers)}
	it.take("normal")
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		it.take(lines.Text())
		fmt.Println("done")
	}
}

// Takes another manner: what refuses has no listener and no connection, what closes has no connection.
func (it *pod) take(manner string) {
	it.Lock()
	defer it.Unlock()
	it.manner = manner
	if manner == "refuse" || manner == "close" {
		for conn := range it.open {
			conn.Close()
		}
		it.open = map[net.Conn]bool{}
	}
	if manner == "refuse" {
		it.listener.Close()
		it.listener = nil
	} else if it.listener == nil {
		listener, err := net.Listen("tcp", *address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		it.listener = listener
		go it.accept(listener)
	}
}

func (it *pod) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		it.Lock()
		welcome := it.manner != "close" && it.manner != "refuse"
		if welcome {
			it.open[conn] = true
		}
		it.Unlock()
		if !welcome {
			conn.Close()
			continue
		}
		go it.serve(conn)
	}
}

func (it *pod) serve(conn net.Conn) {
	defer func() {
		conn.Close()
		it.Lock()
		delete(it.open, conn)
		it.Unlock()
	}()
	from := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		io.Copy(io.Discard, request.Body)
		it.Lock()
		span := *work
		if it.manner == "slow" {
			span *= slowness
		}
		it.Unlock()
		it.places <- struct{}{}
		time.Sleep(span)
		<-it.places
		time.Sleep(*far)
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(*name), *name); err != nil {
			return
		}
	}
}
