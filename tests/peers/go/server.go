package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/crypto/ssh"
)

var errRefused = errors.New("refused")

func (o options) decide(user string, right bool) (*ssh.Permissions, error) {
	if user == o.user && right {
		return nil, nil
	}
	return nil, errRefused
}

func (o options) serverConfig() *ssh.ServerConfig {
	allowed := readPublicKey(o.authorizedKey)
	config := &ssh.ServerConfig{
		Config: o.config(),
		PasswordCallback: func(who ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			return o.decide(who.User(), string(password) == o.password)
		},
		PublicKeyCallback: func(who ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			return o.decide(who.User(), bytes.Equal(key.Marshal(), allowed.Marshal()))
		},
		KeyboardInteractiveCallback: func(who ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil {
				return nil, err
			}
			return o.decide(who.User(), len(answers) == 1 && answers[0] == o.password)
		},
	}
	config.AddHostKey(readSigner(o.hostkey))
	return config
}

// execute runs a command on the channel and tells how it ended.
func execute(channel ssh.Channel, command string) {
	defer channel.Close()
	child := exec.Command("/bin/sh", "-c", command)
	child.Stdout, child.Stderr = channel, channel.Stderr()
	stdin, err := child.StdinPipe()
	check(err)
	go func() {
		io.Copy(stdin, channel)
		stdin.Close()
	}()
	result := struct{ Status uint32 }{}
	if err := child.Run(); err != nil {
		result.Status = 255
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			result.Status = uint32(exit.ExitCode())
		}
	}
	channel.CloseWrite()
	channel.SendRequest("exit-status", false, ssh.Marshal(result))
}

func serveSession(channel ssh.Channel, requests <-chan *ssh.Request) {
	for request := range requests {
		var payload struct{ Command string }
		if request.Type != "exec" || ssh.Unmarshal(request.Payload, &payload) != nil {
			request.Reply(false, nil)
			continue
		}
		request.Reply(true, nil)
		go execute(channel, payload.Command)
	}
}

func serveConnection(socket net.Conn, config *ssh.ServerConfig) {
	connection, channels, requests, err := ssh.NewServerConn(socket, config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		socket.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	for asked := range channels {
		if asked.ChannelType() != "session" {
			asked.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		if channel, requests, err := asked.Accept(); err == nil {
			go serveSession(channel, requests)
		}
	}
	fmt.Fprintln(os.Stderr, connection.Wait())
}

func runServer(o options) {
	config := o.serverConfig()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		os.Exit(0)
	}()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.port))
	check(err)
	fmt.Printf("listening on %s\n", listener.Addr())
	for {
		socket, err := listener.Accept()
		check(err)
		go serveConnection(socket, config)
	}
}
