// Requests of two kinds at one time: in a closed loop (each connection waits for its answer, then a
// pause) and in an open one (at a pace, whatever becomes of the others; an answer takes from when the
// request was due, not from when it could be sent).
//
// Every connection is our own: Go's HTTP client repeats requests by itself. One line for each request
// on standard output: when it was due (us since 1970), us until the whole answer, loop, method,
// status (0: none), who answered or what went wrong.
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
	address = flag.String("address", "", "where the proxy listens")
	host    = flag.String("host", "bench.example", "whom to ask for")
	span    = flag.Duration("span", 10*time.Second, "how long")
	closed  = flag.Int("closed", 8, "connections of the closed loop")
	pause   = flag.Duration("pause", 5*time.Millisecond, "between its requests")
	rate    = flag.Int("rate", 400, "requests a second of the open loop")
	posts   = flag.Int("posts", 10, "every so many is a POST (0: none)")
	patient = flag.Duration("patient", 5*time.Second, "when a visitor gives up")
)

type visitor struct {
	conn net.Conn
	from *bufio.Reader
}

type record struct {
	due    time.Time
	took   time.Duration
	loop   string
	method string
	status int
	word   string
}

// One request over the visitor's connection, or a new one.
func (who *visitor) ask(method string, end time.Time) (int, string, error) {
	if who.conn == nil {
		conn, err := net.DialTimeout("tcp", *address, time.Until(end))
		if err != nil {
			return 0, "", err
		}
		who.conn, who.from = conn, bufio.NewReader(conn)
	}
	who.conn.SetDeadline(end)
	length := ""
	if method == "POST" {
		// Without a byte, so that a request is one packet.
		length = "Content-Length: 0\r\n"
	}
	if _, err := fmt.Fprintf(who.conn, "%s / HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, *host, length); err != nil {
		return 0, "", err
	}
	answer, err := http.ReadResponse(who.from, nil)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.Close {
		who.leave()
	}
	return answer.StatusCode, string(body), err
}

func (who *visitor) leave() {
	if who.conn != nil {
		who.conn.Close()
		who.conn = nil
	}
}

func (who *visitor) visit(due time.Time, loop string, number int, records chan<- record) {
	method := "GET"
	if *posts > 0 && number%*posts == 0 {
		method = "POST"
	}
	status, word, err := who.ask(method, due.Add(*patient))
	if err != nil {
		status, word = 0, "error"
		if timeout, is := err.(net.Error); is && timeout.Timeout() {
			word = "timeout"
		}
		who.leave()
	} else if status != 200 || word == "" {
		word = "answer"
	}
	records <- record{due, time.Since(due), loop, method, status, word}
}

func closedLoop(end time.Time, records chan<- record, done *sync.WaitGroup) {
	defer done.Done()
	who := &visitor{}
	for number := 0; time.Now().Before(end); number++ {
		who.visit(time.Now(), "closed", number, records)
		time.Sleep(*pause)
	}
}

func openLoop(begin, end time.Time, records chan<- record, done *sync.WaitGroup) {
	defer done.Done()
	free := make(chan *visitor, 65536)
	each := time.Second / time.Duration(*rate)
	for number := 0; ; number++ {
		due := begin.Add(time.Duration(number) * each)
		if due.After(end) {
			return
		}
		time.Sleep(time.Until(due))
		var who *visitor
		select {
		case who = <-free:
		default:
			who = &visitor{}
		}
		done.Add(1)
		go func() {
			defer done.Done()
			who.visit(due, "open", number, records)
			free <- who
		}()
	}
}

func main() {
	flag.Parse()
	records := make(chan record, 65536)
	begin := time.Now()
	end := begin.Add(*span)
	var done sync.WaitGroup
	done.Add(*closed)
	for range *closed {
		go closedLoop(end, records, &done)
	}
	if *rate > 0 {
		done.Add(1)
		go openLoop(begin, end, records, &done)
	}
	go func() {
		done.Wait()
		close(records)
	}()
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	defer out.Flush()
	for one := range records {
		fmt.Fprintf(out, "%d %d %s %s %d %s\n", one.due.UnixMicro(), one.took.Microseconds(), one.loop, one.method,
			one.status, one.word)
	}
}
