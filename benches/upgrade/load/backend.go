package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
)

// Answer is what the backend says to a request without a body.
const Answer = "done"

// backend answers GET with Answer, PUT with the number of bytes that it got, and agrees to WebSockets,
// of which it echoes every byte.
func backend(over <-chan struct{}) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err.Error())
	}
	port := listener.Addr().(*net.TCPAddr).Port
	json.NewEncoder(os.Stdout).Encode(map[string]int{"port": port})
	go http.Serve(listener, http.HandlerFunc(answer))
	<-over
}

func answer(out http.ResponseWriter, request *http.Request) {
	if request.Header.Get("Upgrade") != "" {
		echo(out)
		return
	}
	count, err := io.Copy(io.Discard, request.Body)
	text := Answer
	if request.Method == http.MethodPut {
		if err != nil || request.ContentLength >= 0 && count != request.ContentLength {
			out.WriteHeader(http.StatusBadRequest)
			return
		}
		text = strconv.FormatInt(count, 10)
	}
	out.Header().Set("Content-Length", strconv.Itoa(len(text)))
	io.WriteString(out, text)
}

func echo(out http.ResponseWriter) {
	connection, buffered, err := out.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	fmt.Fprint(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	io.Copy(connection, buffered.Reader)
}
