// A pod that tells what Go has read of a request, in lines `KIND hex [hex]`; see ../pods.rs. It writes its port on
// loopback, and ends with its standard input.
package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

func pairs(told *strings.Builder, kind string, fields http.Header) {
	for name, values := range fields {
		for _, value := range values {
			fmt.Fprintf(told, "%s %s %s\n", kind, hex.EncodeToString([]byte(name)), hex.EncodeToString([]byte(value)))
		}
	}
}

func answer(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		response.WriteHeader(400)
		return
	}
	told := &strings.Builder{}
	fmt.Fprintf(told, "M %s\nT %s\n", hex.EncodeToString([]byte(request.Method)), hex.EncodeToString([]byte(request.RequestURI)))
	pairs(told, "F", request.Header)
	fmt.Fprintf(told, "B %s\n", hex.EncodeToString(body))
	pairs(told, "X", request.Trailer)
	response.Header().Set("X-Pod", "go")
	response.Header().Set("Content-Length", fmt.Sprint(told.Len()))
	io.WriteString(response, told.String())
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() { io.Copy(io.Discard, os.Stdin); os.Exit(0) }()
	http.Serve(listener, http.HandlerFunc(answer))
}
