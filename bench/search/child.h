// Other programs: started with pipes, asked and answered a line at a time.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace mneme::bench {

/// A program that reads requests from its standard input and answers each with one line. Ended on destruction.
class Child {
 public:
  explicit Child(const std::vector<std::string>& command);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  /// @return the answer, or empty when the program has ended
  std::string ask(const std::string& line);

 private:
  pid_t process_ = 0;
  std::FILE* requests_ = nullptr;
  std::FILE* answers_ = nullptr;
};

/// Runs a program to its end. @return its exit status, or −1
int run(const std::vector<std::string>& command);

}  // namespace mneme::bench
