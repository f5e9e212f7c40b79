package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The phases of what a client does, for what went wrong in each.
const (
	atConnect = "connect"
	atRequest = "request"
	atAnswer  = "answer"
	atBetween = "between requests"
)

// word says what an error is: a few words for each, the same for each server.
func word(phase string, err error) string {
	var what string
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		what = "reset"
	case errors.Is(err, syscall.ECONNREFUSED):
		what = "refused"
	case errors.Is(err, os.ErrDeadlineExceeded):
		what = "nothing for 20 s"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		what = "closed"
	default:
		what = err.Error()
	}
	return phase + ": " + what
}

func isOver(over <-chan struct{}) bool {
	select {
	case <-over:
		return true
	default:
		return false
	}
}

// One connection of HTTP/1.1.
type wire struct {
	net.Conn
	reader *bufio.Reader
}

func dial(address string) (*wire, error) {
	connection, err := net.DialTimeout("tcp", address, Wait)
	if err != nil {
		return nil, err
	}
	return &wire{connection, bufio.NewReader(connection)}, nil
}

// exchange sends a GET and reads its answer. Returns whether the connection is to be used on.
func (wire *wire) exchange(fields string) (bool, string) {
	wire.SetDeadline(time.Now().Add(Wait))
	if _, err := fmt.Fprintf(wire, "GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n", Host, fields); err != nil {
		return false, word(atRequest, err)
	}
	return wire.answer(Answer)
}

func (wire *wire) answer(expected string) (bool, string) {
	if _, err := wire.reader.Peek(1); err != nil {
		return false, word(atBetween, err)
	}
	response, err := http.ReadResponse(wire.reader, nil)
	if err != nil {
		return false, word(atAnswer, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return false, word(atAnswer, err)
	}
	if response.StatusCode != http.StatusOK || string(body) != expected {
		return false, fmt.Sprintf("%s: status %d", atAnswer, response.StatusCode)
	}
	return !response.Close, ""
}

// keepAlive asks again and again on a connection that is kept for as long as the server does.
func keepAlive(kind *Kind, over <-chan struct{}, address string) {
	for !isOver(over) {
		wire, err := dial(address)
		if err != nil {
			kind.Fault(word(atConnect, err))
			continue
		}
		for kept := true; kept && !isOver(over); {
			var fault string
			if kept, fault = wire.exchange(""); fault != "" {
				kind.Fault(fault)
			} else {
				kind.Done.Add(1)
			}
		}
		wire.Close()
	}
}

// connections asks once on each.
func connections(kind *Kind, over <-chan struct{}, address string) {
	for !isOver(over) {
		wire, err := dial(address)
		if err != nil {
			kind.Fault(word(atConnect, err))
			continue
		}
		if _, fault := wire.exchange("Connection: close\r\n"); fault != "" {
			kind.Fault(fault)
		} else {
			kind.Done.Add(1)
		}
		wire.Close()
		// So that ports are left for all.
		time.Sleep(time.Millisecond)
	}
}

// uploads sends pieces with pauses.
func uploads(kind *Kind, over <-chan struct{}, address string, length time.Duration) {
	const pieces, size = 20, 16 << 10
	piece := strings.Repeat("u", size)
	for !isOver(over) {
		if fault := upload(address, piece, pieces, length/pieces); fault != "" {
			kind.Fault(fault)
		} else {
			kind.Done.Add(1)
		}
	}
}

func upload(address, piece string, pieces int, pause time.Duration) string {
	wire, err := dial(address)
	if err != nil {
		return word(atConnect, err)
	}
	defer wire.Close()
	total := len(piece) * pieces
	wire.SetDeadline(time.Now().Add(Wait + pause*time.Duration(pieces)))
	_, err = fmt.Fprintf(wire, "PUT / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", Host, total)
	for range pieces {
		if err != nil {
			return word(atRequest, err)
		}
		time.Sleep(pause)
		_, err = io.WriteString(wire, piece)
	}
	if err != nil {
		return word(atRequest, err)
	}
	_, fault := wire.answer(strconv.Itoa(total))
	return fault
}

// websocket opens one after another; each says something every tenth of a second, and counts what comes
// back.
func websocket(kind *Kind, over <-chan struct{}, address string, length time.Duration) {
	for !isOver(over) {
		if fault := talk(kind, over, address, length); fault != "" {
			kind.Fault(fault)
		}
	}
}

func talk(kind *Kind, over <-chan struct{}, address string, length time.Duration) string {
	wire, err := dial(address)
	if err != nil {
		return word(atConnect, err)
	}
	defer wire.Close()
	wire.SetDeadline(time.Now().Add(Wait))
	_, err = fmt.Fprintf(wire, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", Host)
	if err != nil {
		return word(atRequest, err)
	}
	response, err := http.ReadResponse(wire.reader, nil)
	if err != nil {
		return word(atAnswer, err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Sprintf("%s: status %d", atAnswer, response.StatusCode)
	}
	end := time.Now().Add(length)
	// A masked text frame of two bytes, by RFC 6455 section 5.7; nobody on the way looks into it.
	frame := "\x81\x82\x37\xfa\x21\x3d\x7f\x9f"
	answer := make([]byte, len(frame))
	for time.Now().Before(end) && !isOver(over) {
		wire.SetDeadline(time.Now().Add(Wait))
		if _, err := io.WriteString(wire, frame); err != nil {
			return word(atRequest, err)
		}
		if _, err := io.ReadFull(wire.reader, answer); err != nil {
			return word(atAnswer, err)
		}
		kind.Done.Add(1)
		time.Sleep(100 * time.Millisecond)
	}
	return ""
}
