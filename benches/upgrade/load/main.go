// Load for rolling upgrades: a backend, and clients of five kinds that count what fails.
//
//	load backend
//	load clients -http ADDRESS -https ADDRESS -ca FILE
//
// Each says what it has to say as lines of JSON on standard output, and ends when its standard input
// does. No client tries anything again: what fails has failed, and is counted by what it was.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Host is what every request names.
const Host = "bench.example"

// Wait is how long a client waits for anything: far more than it takes.
const Wait = 20 * time.Second

// How often the counts are told.
const tell = 200 * time.Millisecond

// Kind counts for clients of one kind.
type Kind struct {
	Done atomic.Int64
	// NotTaken counts what the server has said that it did not begin.
	NotTaken atomic.Int64
	mutex    sync.Mutex
	faults   map[string]int64
}

// Fault counts what went wrong, in words that are few.
func (kind *Kind) Fault(what string) {
	kind.mutex.Lock()
	defer kind.mutex.Unlock()
	kind.faults[what]++
}

// MarshalJSON tells the counts.
func (kind *Kind) MarshalJSON() ([]byte, error) {
	kind.mutex.Lock()
	defer kind.mutex.Unlock()
	return json.Marshal(map[string]any{
		"done": kind.Done.Load(), "not_taken": kind.NotTaken.Load(), "faults": kind.faults,
	})
}

// Ends is closed when standard input ends.
func ends() <-chan struct{} {
	over := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	return over
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: load backend | load clients ...")
	}
	switch os.Args[1] {
	case "backend":
		backend(ends())
	case "clients":
		clients(os.Args[2:])
	default:
		fail("usage: load backend | load clients ...")
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(64)
}

func clients(words []string) {
	flags := flag.NewFlagSet("clients", flag.ExitOnError)
	plain := flags.String("http", "", "address of the listener without TLS")
	secure := flags.String("https", "", "address of the listener with TLS")
	authority := flags.String("ca", "", "PEM file with the authority of the certificate")
	each := flags.Int("each", 4, "clients of each kind, HTTP/2 streams too")
	socket := flags.Duration("websocket", 3*time.Second, "how long a WebSocket is open")
	upload := flags.Duration("upload", 2*time.Second, "how long an upload takes")
	if err := flags.Parse(words); err != nil {
		fail(err.Error())
	}
	settings, err := tlsSettings(*authority)
	if err != nil {
		fail(err.Error())
	}
	over := ends()
	kinds := map[string]*Kind{}
	var running sync.WaitGroup
	start := func(name string, count int, client func(*Kind, <-chan struct{})) {
		kind := &Kind{faults: map[string]int64{}}
		kinds[name] = kind
		for range count {
			running.Go(func() { client(kind, over) })
		}
	}
	start("keep-alive", *each, func(k *Kind, o <-chan struct{}) { keepAlive(k, o, *plain) })
	start("connections", *each, func(k *Kind, o <-chan struct{}) { connections(k, o, *plain) })
	start("http2", 1, func(k *Kind, o <-chan struct{}) { http2Streams(k, o, *secure, settings, *each) })
	start("websocket", *each, func(k *Kind, o <-chan struct{}) { websocket(k, o, *plain, *socket) })
	start("upload", *each, func(k *Kind, o <-chan struct{}) { uploads(k, o, *plain, *upload) })
	all := make(chan struct{})
	go func() {
		running.Wait()
		close(all)
	}()
	out := json.NewEncoder(os.Stdout)
	for {
		select {
		case <-all:
			out.Encode(map[string]any{"end": true, "kinds": kinds})
			return
		case <-time.After(tell):
			out.Encode(map[string]any{"end": false, "kinds": kinds})
		}
	}
}
